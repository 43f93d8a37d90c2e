import { RunKind } from '../format/staged-part.ts';
import { SEGMENT_SIZE } from '../words.ts';
import type { DiskPlan } from './changed-block-source.ts';
import type { DiskExport } from './disk-export.ts';
import { newPartInPlace } from './part-in-place.ts';
import { newRunList, type RunList } from './part-runs.ts';
import type { PlacedDisk } from './placed-disk.ts';
import { inOrder } from './read-ahead.ts';

/**
 * Stages what a plan lists as parts that tell where it lies, to be read by whoever processes them. Resolves to how many parts there are. A
 * part may list segments as data that turn out to be zero.
 */
export async function stageInPlace(
  { plan, most, disk, stage, progress }: DiskExport,
  place: PlacedDisk,
): Promise<number> {
  let parts = 0;
  for (const { runs, segments } of partsOf(plan, most)) {
    await stage(parts++, [newPartInPlace({ ...disk, runs: runs.listed }, place)]);
    progress(segments * SEGMENT_SIZE);
  }
  return parts;
}

interface ListedPart {
  readonly runs: RunList;
  /** To be read. */
  readonly segments: number;
}

function* partsOf(plan: DiskPlan, most: number): Generator<ListedPart> {
  let [runs, segments] = [newRunList(), 0];
  for (const { kind, run } of inOrder(plan, most)) {
    const more = kind === 'zero' ? 0 : run.count;
    if (runs.full || segments + more > most) {
      yield { runs, segments };
      [runs, segments] = [newRunList(), 0];
    }
    runs.list(RunKind[kind], run.first, run.count);
    segments += more;
  }
  if (runs.listed.length > 0) yield { runs, segments };
}

import { RUNS_PER_PART } from '../format/receipt.ts';
import { type PartRun, RunKind } from '../format/staged-part.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PART } from '../words.ts';
import type { DiskPlan } from './changed-block-source.ts';
import type { DiskExport } from './disk-export.ts';
import { newPartInPlace } from './part-in-place.ts';
import { newRunList } from './part-runs.ts';
import type { PlacedDisk } from './placed-disk.ts';
import { inOrder, type Step } from './read-ahead.ts';

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
    await stage(parts++, [newPartInPlace({ ...disk, runs }, place)]);
    progress(segments * SEGMENT_SIZE);
  }
  return parts;
}

interface ListedPart {
  readonly runs: readonly PartRun[];
  /** To be read. */
  readonly segments: number;
}

/**
 * A part lists whole windows of the disk, of `most` segments each: where windows are full, each is a part. What is counted as a hole differs
 * with the file system and its cache; were parts cut where their segments add up, one segment more would move all cuts behind it, and each
 * part of the same image elsewhere would have some that the pack which resembles it has not.
 */
function* partsOf(plan: DiskPlan, most: number): Generator<ListedPart> {
  let [runs, segments] = [newRunList(), 0];
  for (const window of windowsOf(plan, most)) {
    if (segments + window.segments > most || runs.listed.length + window.steps.length > MOST_RUNS) {
      yield { runs: runs.listed, segments };
      [runs, segments] = [newRunList(), 0];
    }
    for (const { kind, run } of window.steps) runs.list(RunKind[kind], run.first, run.count);
    segments += window.segments;
  }
  if (runs.listed.length > 0) yield { runs: runs.listed, segments };
}

/** Each segment to be read may come to lie in a pack of its own: the receipt lists as many runs more. */
const MOST_RUNS = RUNS_PER_PART - SEGMENTS_PER_PART;

interface Window {
  readonly steps: Step[];
  /** To be read. */
  readonly segments: number;
}

/** The steps of a plan by the window that they begin in; those that are read are cut where the next begins. */
function* windowsOf(plan: DiskPlan, size: number): Generator<Window> {
  let window = 0;
  let steps: Step[] = [];
  let segments = 0;
  for (const step of cut(plan, size)) {
    const next = Math.floor(step.run.first / size);
    if (next !== window && steps.length > 0) {
      yield { steps, segments };
      [steps, segments] = [[], 0];
    }
    window = next;
    steps.push(step);
    if (step.kind !== 'zero') segments += step.run.count;
  }
  if (steps.length > 0) yield { steps, segments };
}

function* cut(plan: DiskPlan, size: number): Generator<Step> {
  for (const { kind, run } of inOrder(plan, size)) {
    const room = size - (run.first % size);
    if (kind === 'zero' || run.count <= room) yield { kind, run };
    else {
      yield { kind, run: { first: run.first, count: room } };
      yield { kind, run: { first: run.first + room, count: run.count - room } };
    }
  }
}

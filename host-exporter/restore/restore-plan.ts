import type { Manifest } from '#vault/format/manifest.ts';
import type { VaultReader } from '#vault/records.ts';
import { type MappedRun, openDiskMap } from '#vault/restore/span-extents.ts';
import { SEGMENT_SIZE, type SegmentRun, segmentsOf } from '#vault/words.ts';

/** A stretch of the disk that is restored as one. */
export interface RestoreSpan extends SegmentRun {
  /** Segments that are not zero, as far as pages can be read. */
  readonly dataSegments: number;
}

/** The whole disk in spans, in order, without gaps. */
export interface RestorePlan {
  readonly spans: readonly RestoreSpan[];
  /** Bytes to read and write, whole segments. */
  readonly dataBytes: number;
}

/** 64 MiB of data, which is what a pack holds. */
const SPAN_SEGMENTS = 1024;
/** A span is cut where its pack ends, so that no two threads need the same one, unless it would become larger than this. */
const LARGEST_SPAN_SEGMENTS = 1536;
const SMALLEST_SPAN_SEGMENTS = 256;

/** Reads the disk's pages. A page that cannot be read counts as data here: reading it again says why. */
export async function planRestore(reader: VaultReader, manifest: Manifest): Promise<RestorePlan> {
  const draft = newDraft();
  const map = openDiskMap(reader);
  for await (const run of map(manifest, { first: 0, count: segmentsOf(manifest.diskSize) })) draft.add(run);
  const spans = draft.finish();
  const dataSegments = spans.reduce((sum, span) => sum + span.dataSegments, 0);
  return { spans, dataBytes: dataSegments * SEGMENT_SIZE };
}

function newDraft() {
  const spans: RestoreSpan[] = [];
  let [first, end, dataSegments] = [0, 0, 0];
  let pack: string | undefined;
  const close = () => {
    if (end > first) spans.push({ first, count: end - first, dataSegments });
    [first, dataSegments] = [end, 0];
  };
  return {
    add(run: MappedRun): void {
      const next = run.kind === 'packed' ? run.pack : undefined;
      const changes = next !== undefined && next !== pack;
      if (changes && dataSegments >= SMALLEST_SPAN_SEGMENTS && dataSegments + run.count > SPAN_SEGMENTS) close();
      pack = next ?? pack;
      if (run.kind === 'zero') end += run.count;
      else addData(run.count);
    },
    finish(): RestoreSpan[] {
      close();
      return spans;
    },
  };

  function addData(count: number): void {
    for (let left = count; left > 0; ) {
      const taken = Math.min(left, LARGEST_SPAN_SEGMENTS - dataSegments);
      end += taken;
      dataSegments += taken;
      left -= taken;
      if (dataSegments === LARGEST_SPAN_SEGMENTS) close();
    }
  }
}

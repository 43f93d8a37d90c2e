import { EkkoError } from '#vault/errors.ts';
import { type FrameEntry, ID_SIZE } from '#vault/format/pack.ts';
import { fetchFrames } from '#vault/restore/fetch-frames.ts';
import { type Frame, newFrame } from '#vault/restore/frame.ts';
import type { PackShelf, TrustedPack } from '#vault/restore/trusted-pack.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';

/** One segment read out of a pack, compared with its id. */
export interface ReadSegment {
  /** In its pack. */
  readonly number: number;
  /** Valid until the next one is asked for. */
  readonly bytes: Buffer;
  /** Under the keys of the pack's epoch. */
  readonly id: Buffer;
}

/** Stored bytes that are fetched at once. */
const FETCHED_BYTES = 8 * 1024 * 1024;

/**
 * The segments of `runs` of a pack, in order, every one compared with its id. Throws `object-missing`, `damaged`, `bad-format`,
 * `wrong-key`, `store-failed`, naming the pack.
 */
export async function* readSegments(
  shelf: PackShelf,
  pack: TrustedPack,
  runs: readonly SegmentRun[],
): AsyncGenerator<ReadSegment> {
  const wanted = runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
  const last = wanted.at(-1) ?? -1;
  if (last >= pack.index.segments)
    throw new EkkoError('damaged', `${pack.key} has ${pack.index.segments} segments, pages name segment ${last}.`);
  for (const frames of batches(pack.index.frames.filter((entry) => wanted.some((number) => holds(entry, number))))) {
    const opened = frames.map((entry) => newFrame(pack, entry));
    for (const frame of opened) frame.hold();
    await fetchFrames(shelf, opened);
    for (const frame of opened) {
      for (const number of wanted) if (holds(frame.entry, number)) yield segmentOf(frame, number);
      frame.drop();
    }
  }
}

function holds({ firstSegment, segments }: FrameEntry, number: number): boolean {
  return number >= firstSegment && number < firstSegment + segments;
}

function* batches(frames: readonly FrameEntry[]): Generator<FrameEntry[]> {
  let batch: FrameEntry[] = [];
  let bytes = 0;
  for (const entry of frames) {
    if (bytes > 0 && bytes + entry.length > FETCHED_BYTES) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(entry);
    bytes += entry.length;
  }
  if (batch.length > 0) yield batch;
}

function segmentOf(frame: Frame, number: number): ReadSegment {
  const { pack, entry } = frame;
  const inFrame = number - entry.firstSegment;
  if (!frame.hasItsId(inFrame))
    throw new EkkoError('damaged', `Segment ${number} of ${pack.key} is not the one its id says.`);
  const bytes = frame.segments(inFrame, inFrame + 1);
  if (bytes.length !== SEGMENT_SIZE) throw new EkkoError('damaged', `Segment ${number} of ${pack.key} is cut short.`);
  return { number, bytes, id: pack.index.ids.subarray(number * ID_SIZE, (number + 1) * ID_SIZE) };
}

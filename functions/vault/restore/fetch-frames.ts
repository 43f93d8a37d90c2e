import { releaseWhole } from '../memory.ts';
import type { Frame, StoredFrame } from './frame.ts';
import type { PackShelf } from './trusted-pack.ts';

/** Reading over a gap of unwanted bytes is cheaper than another request. */
const WIDEST_GAP = 256 * 1024;
const LARGEST_RANGE = 16 * 1024 * 1024;

/**
 * Fetches the stored bytes of those frames that want them by few and large requests, all at once. Never throws: a frame that could
 * not be fetched is told why. Where a large range fails, its frames are tried one by one.
 */
export async function fetchFrames(shelf: PackShelf, frames: Iterable<Frame>): Promise<void> {
  const wanted = [...frames].filter((frame) => frame.wanted);
  await Promise.all(coalesce(wanted).map((range) => fetchRange(shelf, range)));
}

interface FrameRange {
  readonly start: number;
  end: number;
  readonly frames: Frame[];
}

/** Ranges of neighbouring frames of one pack. */
export function coalesce(frames: readonly Frame[]): FrameRange[] {
  const ranges: FrameRange[] = [];
  for (const frame of frames.toSorted(byPlace)) {
    const { offset, length } = frame.entry;
    const last = ranges.at(-1);
    const near = last?.frames[0]?.pack.key === frame.pack.key && offset - last.end <= WIDEST_GAP;
    if (last !== undefined && near && offset + length - last.start <= LARGEST_RANGE) {
      last.end = offset + length;
      last.frames.push(frame);
    } else ranges.push(rangeOf(frame));
  }
  return ranges;
}

function byPlace(a: Frame, b: Frame): number {
  if (a.pack.key === b.pack.key) return a.entry.offset - b.entry.offset;
  return a.pack.key < b.pack.key ? -1 : 1;
}

function rangeOf(frame: Frame): FrameRange {
  const { offset, length } = frame.entry;
  return { start: offset, end: offset + length, frames: [frame] };
}

async function fetchRange(shelf: PackShelf, { start, end, frames }: FrameRange): Promise<void> {
  const [first] = frames;
  if (first === undefined) return;
  try {
    const bytes = await shelf.read(first.pack, start, end);
    const share = shared(bytes, frames.length);
    for (const frame of frames) frame.fetched(share(frame.entry.offset - start, frame.entry.length));
  } catch (error) {
    if (frames.length === 1) first.fetched({ failure: error });
    else await Promise.all(frames.map((frame) => fetchRange(shelf, rangeOf(frame))));
  }
}

/** Slices of one buffer, given back when the last slice is done with. */
function shared(bytes: Buffer, slices: number): (at: number, length: number) => StoredFrame {
  let left = slices;
  const done = () => {
    if (--left === 0) releaseWhole(bytes);
  };
  return (at, length) => ({ bytes: bytes.subarray(at, at + length), done });
}

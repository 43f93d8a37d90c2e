import { LRUCache } from 'lru-cache';
import { EkkoError } from '../errors.ts';
import { type FrameEntry, packName } from '../format/pack.ts';
import { contentKey, Folder } from '../store/object-names.ts';
import { type Frame, newFrame } from './frame.ts';
import type { MappedRun } from './span-extents.ts';
import type { PackShelf, TrustedPack } from './trusted-pack.ts';

/** A run of the disk's segments as read: `first` counts in the frame, which the item holds until it is dropped. */
export type BatchItem =
  | Exclude<MappedRun, { kind: 'packed' }>
  | {
      readonly kind: 'frame';
      readonly start: number;
      readonly count: number;
      readonly frame: Frame;
      readonly first: number;
    };

export interface Batch {
  readonly items: readonly BatchItem[];
  /** The distinct frames of `items`. */
  readonly frames: ReadonlySet<Frame>;
}

/** Stored bytes and frames of one batch: bounds memory, and the size of its requests. */
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_FRAMES = 64;
/** Runs that need no frame weigh nothing, but their number must be bounded too. */
const BATCH_ITEMS = 4096;
/** Opened frames are kept for a while: deduplicated content comes back to them. 1 MiB each. */
const KEPT_FRAMES = 8;

export type BatchMaker = (runs: AsyncIterable<MappedRun>) => AsyncGenerator<Batch>;

/** Cuts runs, in order, into batches of frames. A pack that cannot be opened makes its runs `lost`. */
export function openBatchMaker(shelf: PackShelf): BatchMaker {
  const kept = new LRUCache<string, Frame>({ max: KEPT_FRAMES, dispose: (frame) => frame.drop() });
  const frameOf = (pack: TrustedPack, entry: FrameEntry): Frame => {
    const id = `${entry.number} ${pack.reference}`;
    const known = kept.get(id);
    if (known) return known;
    const frame = newFrame(pack, entry);
    frame.hold();
    kept.set(id, frame);
    return frame;
  };
  return async function* makeBatches(runs) {
    let draft = newDraft();
    for await (const run of runs) {
      for await (const item of itemsOf(shelf, frameOf, run)) {
        draft.add(item);
        if (!draft.full) continue;
        yield draft;
        draft = newDraft();
      }
    }
    yield draft;
  };
}

async function* itemsOf(
  shelf: PackShelf,
  frameOf: (pack: TrustedPack, entry: FrameEntry) => Frame,
  run: MappedRun,
): AsyncGenerator<BatchItem> {
  if (run.kind !== 'packed') return yield run;
  const { start, count, first } = run;
  const lost = (error: unknown): BatchItem => {
    return { kind: 'lost', start, count, object: contentKey(Folder.packs, packName(run.pack)), error };
  };
  const pack = await shelf.open(run.pack).catch((error: unknown) => ({ error }));
  if ('error' in pack) return yield lost(pack.error);
  if (first + count > pack.index.segments) {
    return yield lost(
      new EkkoError('damaged', `${pack.key} has ${pack.index.segments} segments, a page names ${first}+${count}.`),
    );
  }
  for (const entry of framesOver(pack.index.frames, first, first + count)) {
    const from = Math.max(first, entry.firstSegment);
    const to = Math.min(first + count, entry.firstSegment + entry.segments);
    const frame = frameOf(pack, entry);
    yield { kind: 'frame', start: start + from - first, count: to - from, frame, first: from - entry.firstSegment };
  }
}

/** The frames that hold segments `[from, to)` of their pack: at most 1,024 are looked through. */
function framesOver(frames: readonly FrameEntry[], from: number, to: number): FrameEntry[] {
  return frames.filter(({ firstSegment, segments }) => firstSegment < to && firstSegment + segments > from);
}

function newDraft() {
  const items: BatchItem[] = [];
  const frames = new Set<Frame>();
  let bytes = 0;
  return {
    items,
    frames,
    add(item: BatchItem): void {
      items.push(item);
      if (item.kind !== 'frame') return;
      item.frame.hold();
      if (frames.has(item.frame)) return;
      frames.add(item.frame);
      bytes += item.frame.entry.length;
    },
    get full(): boolean {
      return bytes >= BATCH_BYTES || frames.size >= BATCH_FRAMES || items.length >= BATCH_ITEMS;
    },
  };
}

import { codeOf, EkkoError } from '../errors.ts';
import type { Manifest } from '../format/manifest.ts';
import type { VaultReader } from '../records.ts';
import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';
import { fetchFrames } from './fetch-frames.ts';
import type { Frame } from './frame.ts';
import { type Batch, type BatchItem, openBatchMaker } from './frame-batches.ts';
import { openMoveFollower } from './moved-runs.ts';
import { openDiskMap } from './span-extents.ts';
import { openPackShelf } from './trusted-pack.ts';

/** A stretch of a disk, in bytes. */
export type DiskPiece = { readonly offset: number; readonly length: number } & (
  | {
      readonly kind: 'data';
      readonly bytes: Buffer;
      /** `bytes` have had their last use: their memory may be given back, and they be empty. Whoever does not call it may keep them. */
      done(): void;
    }
  | { readonly kind: 'zero' }
  /** Best effort only: what could not be read, because of which object, and why. */
  | { readonly kind: 'unreadable'; readonly object: string; readonly reason: string }
);

export interface DiskReader {
  /**
   * Reads a run of a disk's segments: pieces in order and without gaps, clipped to the disk's size, data in pieces of at most 1 MiB.
   * Every segment has been compared with its id. The next pieces are
   * fetched while one is being used. Throws `object-missing`, `damaged`, `bad-format`, `wrong-key` or `store-failed`, naming the object and
   * the bytes of the disk that it affects; with best effort such bytes become `unreadable` pieces instead.
   */
  read(manifest: Manifest, run: SegmentRun): AsyncGenerator<DiskPiece>;
}

export interface ReadSettings {
  /** Deliver what is intact, and say what is not. */
  readonly bestEffort: boolean;
}

/** A reader keeps pages, pack indexes, moves and some frames in memory, bounded. */
export function openDiskReader(reader: VaultReader, settings: ReadSettings): DiskReader {
  const map = openDiskMap(reader);
  const moves = openMoveFollower(reader);
  const shelf = openPackShelf(reader);
  const makeBatches = openBatchMaker(shelf);

  async function* outcomesOf(manifest: Manifest, run: SegmentRun): AsyncGenerator<Outcome> {
    const batches = makeBatches(moves.follow(map(manifest, run)));
    for await (const { items } of readAhead(batches, (batch) => fetchFrames(shelf, batch.frames))) {
      for (const item of items) {
        for (const piece of piecesOf(item)) yield clip(piece, manifest.diskSize);
        if (item.kind === 'frame') item.frame.drop();
      }
    }
  }

  /** What is lost because its pack was moved meanwhile is read again; `followed` are packs to which that has been done. */
  async function* read(manifest: Manifest, run: SegmentRun, followed: readonly string[]): AsyncGenerator<DiskPiece> {
    for await (const piece of outcomesOf(manifest, run)) {
      const again = piece.kind === 'lost' && !followed.includes(piece.object) && (await moves.wasMoved(piece.object));
      if (again) yield* read(manifest, runOf(piece), [...followed, piece.object]);
      else yield deliver(piece, settings.bestEffort);
    }
  }

  return { read: (manifest, run) => read(manifest, run, []) };
}

/** The segments of a piece, which begins with one. */
function runOf({ offset, length }: { readonly offset: number; readonly length: number }): SegmentRun {
  return { first: offset / SEGMENT_SIZE, count: Math.ceil(length / SEGMENT_SIZE) };
}

/** A piece as it turned out; `error` where it could not be read. */
type Outcome =
  | Exclude<DiskPiece, { kind: 'unreadable' }>
  | {
      readonly kind: 'lost';
      readonly offset: number;
      readonly length: number;
      readonly object: string;
      readonly error: unknown;
    };

/** Keeps one batch on its way while the one before it is being used. */
async function* readAhead(
  batches: AsyncGenerator<Batch>,
  fetch: (batch: Batch) => Promise<void>,
): AsyncGenerator<Batch> {
  const take = async () => {
    const { done, value } = await batches.next();
    if (done) return undefined;
    await fetch(value);
    return value;
  };
  let next = take();
  try {
    for (let batch = await next; batch !== undefined; batch = await next) {
      next = take();
      // It is awaited in its turn; until then its failure is not unhandled.
      next.catch(() => undefined);
      yield batch;
    }
  } finally {
    await next.catch(() => undefined);
  }
}

function* piecesOf(item: BatchItem): Generator<Outcome> {
  const place = { offset: item.start * SEGMENT_SIZE, length: item.count * SEGMENT_SIZE };
  if (item.kind === 'zero') return yield { kind: 'zero', ...place };
  if (item.kind === 'lost') return yield { kind: 'lost', ...place, object: item.object, error: item.error };
  const { frame, first, count } = item;
  for (const { from, to, error } of stretches(frame, first, first + count)) {
    const part = { offset: (item.start + from - first) * SEGMENT_SIZE, length: (to - from) * SEGMENT_SIZE };
    if (error !== undefined) yield { kind: 'lost', ...part, object: frame.pack.key, error };
    else yield dataPiece(frame, from, to, part);
  }
}

function dataPiece(frame: Frame, from: number, to: number, place: { offset: number; length: number }): Outcome {
  frame.hold();
  return { kind: 'data', ...place, bytes: frame.segments(from, to), done: () => frame.drop() };
}

/** Segments `[first, end)` of a frame in stretches that are all right, or all wrong for one reason. */
function* stretches(frame: Frame, first: number, end: number): Generator<{ from: number; to: number; error: unknown }> {
  try {
    frame.segments(first, end);
  } catch (error) {
    return yield { from: first, to: end, error };
  }
  for (let from = first; from < end; ) {
    const right = frame.hasItsId(from);
    let to = from + 1;
    while (to < end && frame.hasItsId(to) === right) to++;
    yield { from, to, error: right ? undefined : wrongId(frame, from) };
    from = to;
  }
}

function wrongId({ pack, entry }: Frame, segment: number): EkkoError {
  return new EkkoError('damaged', `Segment ${entry.firstSegment + segment} of ${pack.key} is not the one its id says.`);
}

/** The last segment of a disk is padded; the disk ends where it ends. */
function clip(piece: Outcome, diskSize: number): Outcome {
  const length = Math.min(piece.length, diskSize - piece.offset);
  if (length === piece.length) return piece;
  return piece.kind === 'data' ? { ...piece, length, bytes: piece.bytes.subarray(0, length) } : { ...piece, length };
}

function deliver(piece: Outcome, bestEffort: boolean): DiskPiece {
  if (piece.kind !== 'lost') return piece;
  const { offset, length, object, error } = piece;
  const code = codeOf(error);
  if (code === undefined) throw error;
  const reason = error instanceof Error ? error.message : String(error);
  if (bestEffort) return { kind: 'unreadable', offset, length, object, reason };
  throw new EkkoError(
    code,
    `${reason} Bytes ${offset} to ${offset + length - 1} of the disk cannot be read (${object}). Verify the vault, then ` +
      'put the object back from a copy, restore another point, or restore what is intact with best effort.',
    { cause: error },
  );
}

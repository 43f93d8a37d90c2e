import { fstatSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { ByteReader, u32Bytes, u64Bytes } from '../format/bytes.ts';
import {
  carriedRuns,
  carriedSegments,
  decodeHeader,
  encodeHeader,
  HEADER_READ_SIZE,
  type PartHeader,
} from '../format/staged-part.ts';
import { FRAME_SIZE, SEGMENT_SIZE, type SegmentRun } from '../words.ts';
import type { OpenedPart } from './open-part.ts';
import { isShared } from './part-in-memory.ts';
import { fileChanged, type PlacedDisk } from './placed-disk.ts';

/**
 * A staged part that tells where its segments lie, in memory that threads of one process share: magic, u32 length of the header, header,
 * u32 descriptor, u64 size, u64 version + 1 (0: none), path. Whoever turns them into a pack reads them from the file, a frame at a time into
 * the processor's cache, where its id is made at once: they are not copied from thread to thread through memory. A descriptor means nothing
 * to another process: in a store such a part is refused.
 */
const MAGIC = 'EKKOPRTP';
const PREFIX_SIZE = MAGIC.length + 4;

/** What is asked of the system: a test can have a disk be slow. */
export interface PlaceReader {
  readSync(descriptor: number, into: Buffer, at: number, length: number, position: number): number;
  read(descriptor: number, into: Buffer, at: number, length: number, position: number): Promise<unknown>;
  /** Milliseconds. */
  now(): number;
}

const NODE: PlaceReader = { readSync, read: promisify(read), now: () => performance.now() };

/** The object that the part is. */
export function newPartInPlace(header: PartHeader, { descriptor, size, version, path }: PlacedDisk): Buffer {
  const encoded = encodeHeader(header);
  const start = Buffer.concat([Buffer.from(MAGIC, 'latin1'), u32Bytes([encoded.length])]);
  const written = Buffer.alloc(8);
  written.writeBigUInt64LE(version === undefined ? 0n : version + 1n);
  return Buffer.concat([start, encoded, u32Bytes([descriptor]), u64Bytes(size), written, Buffer.from(path)]);
}

/** Whether `bytes`, the beginning of an object, begin a part whose segments lie elsewhere. */
export function isPartInPlace(bytes: Buffer): boolean {
  return isShared(bytes) && bytes.toString('latin1', 0, MAGIC.length) === MAGIC;
}

function decode(bytes: Buffer, origin: string): { readonly header: PartHeader; readonly place: PlacedDisk } {
  const length = new ByteReader(bytes.subarray(MAGIC.length), origin).count(HEADER_READ_SIZE, 'bytes of header');
  const header = decodeHeader(bytes.subarray(PREFIX_SIZE, PREFIX_SIZE + length), origin);
  const reader = new ByteReader(bytes.subarray(PREFIX_SIZE + length), origin);
  const [descriptor, size, written] = [reader.u32(), reader.u64(), reader.take(8).readBigUInt64LE()];
  const version = written === 0n ? undefined : written - 1n;
  return { header, place: { descriptor, size, version, path: reader.rest().toString() } };
}

/** The part that `bytes` are. Its chunks throw `busy` when the file has changed. Throws `bad-format`, `part-refused`. */
export function openPartInPlace(bytes: Buffer, origin: string, system: PlaceReader = NODE): OpenedPart {
  const { header, place } = decode(bytes, origin);
  const frames: Buffer[] = [];
  return {
    header,
    async *chunks() {
      let reading = 0;
      for (const pieces of inFrames(carriedRuns(header.runs))) {
        const frame = spareFrames.pop() ?? Buffer.allocUnsafeSlow(FRAME_SIZE);
        frames.push(frame);
        const began = system.now();
        let used = 0;
        for (const piece of pieces) used += readPiece(system, place, piece, frame.subarray(used));
        reading += system.now() - began;
        yield frame.subarray(0, used);
      }
      if (reading > slowest(header)) isSlow = true;
      checkUnchanged(place);
    },
    close: () => void spareFrames.push(...frames.splice(0)),
  };
}

/** Of this thread. They stay: what is allocated anew for each part has the garbage collector look for it each time. */
const spareFrames: Buffer[] = [];

/** Whether this thread waits for disks: then what comes next is read while something else is computed. */
let isSlow = false;
/** Bytes a millisecond that a disk must be able to read: well below what memory does, well above what two threads make packs of. */
const FAST = 600_000;
/** Milliseconds that any part may take: a thread may have to wait for a processor. */
const ANYHOW = 5;
const READS_AHEAD = 4;

/** Milliseconds after which the reading of a part was slow. */
function slowest({ runs }: PartHeader): number {
  return ANYHOW + (carriedSegments(runs) * SEGMENT_SIZE) / FAST;
}

/**
 * Where the last parts had to wait for the disk: reads a part's segments without keeping them, so that the kernel has them when the part is
 * opened. Meanwhile the thread computes. Failures are those of the part, and told when it is opened.
 */
export async function warmPartInPlace(bytes: Buffer, origin: string, system: PlaceReader = NODE): Promise<void> {
  const { header, place } = decode(bytes, origin);
  const frames = inFrames(carriedRuns(header.runs));
  const began = system.now();
  const lane = async () => {
    const scrap = Buffer.allocUnsafeSlow(FRAME_SIZE);
    for (const pieces of frames) {
      for (const { first, count } of pieces)
        await system.read(place.descriptor, scrap, 0, count * SEGMENT_SIZE, first * SEGMENT_SIZE);
    }
  };
  await Promise.all(Array.from({ length: READS_AHEAD }, lane)).catch(() => undefined);
  if (system.now() - began < slowest(header)) isSlow = false;
}

/** Whether the disks of this thread's last parts were slow. */
export function waitsForDisks(): boolean {
  return isSlow;
}

/** Runs in pieces that together fill a frame each; the last may be shorter. */
function* inFrames(runs: readonly SegmentRun[]): Generator<SegmentRun[]> {
  let pieces: SegmentRun[] = [];
  let room = FRAME_SIZE / SEGMENT_SIZE;
  for (const run of runs) {
    for (let { first, count } = run; count > 0; ) {
      const piece = { first, count: Math.min(count, room) };
      pieces.push(piece);
      [first, count, room] = [first + piece.count, count - piece.count, room - piece.count];
      if (room > 0) continue;
      yield pieces;
      [pieces, room] = [[], FRAME_SIZE / SEGMENT_SIZE];
    }
  }
  if (pieces.length > 0) yield pieces;
}

/** Reads a piece to the start of `into`; what lies behind the disk's end is zero. Gives its length. */
function readPiece(system: PlaceReader, place: PlacedDisk, { first, count }: SegmentRun, into: Buffer): number {
  const [offset, length] = [first * SEGMENT_SIZE, count * SEGMENT_SIZE];
  const inside = Math.max(0, Math.min(length, place.size - offset));
  for (let done = 0; done < inside; ) {
    const bytes = system.readSync(place.descriptor, into, done, inside - done, offset + done);
    if (bytes === 0) throw fileChanged(place.path, `it ends at ${offset + done} bytes now`);
    done += bytes;
  }
  into.fill(0, inside, length);
  return length;
}

/** Nothing holds a file still: a write meanwhile would mix two moments. */
function checkUnchanged({ descriptor, version, path }: PlacedDisk): void {
  if (version === undefined) return;
  if (fstatSync(descriptor, { bigint: true }).mtimeNs !== version) throw fileChanged(path, 'it was written to');
}

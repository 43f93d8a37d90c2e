import type { KeyObject } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import type { EpochKeys, Keyring } from '../keys/epoch-keys.ts';
import { release, releaseWhole } from '../memory.ts';
import { contentName } from '../store/object-names.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME, SEGMENTS_PER_PART } from '../words.ts';
import { ByteReader } from './bytes.ts';
import { Codec, decode, encode } from './compression.ts';
import {
  countedNonce,
  freshKey,
  HEADER_NONCE,
  open,
  opensTo,
  seal,
  TAG_SIZE,
  unwrapKey,
  WRAPPED_KEY_SIZE,
} from './sealing.ts';

/** A pack: write-once object of sealed segments with its index. Layout: `docs/format.md`, "Packs". */
const MAGIC = 'EKKOPAK1';
const PREFIX_SIZE = 16;
const HEADER_SIZE = PREFIX_SIZE + WRAPPED_KEY_SIZE;
const FRAME_ENTRY_SIZE = 6;
export const ID_SIZE = 32;

/** This many first bytes of any pack hold its whole header and index. */
export const INDEX_READ_SIZE = HEADER_SIZE + 2 + SEGMENTS_PER_PART * (FRAME_ENTRY_SIZE + ID_SIZE) + TAG_SIZE;

/**
 * Name ‖ tag of the index box, 96 hex digits. Pages and receipts name packs so: the tag tells by the index alone that a pack is the
 * one meant, where the name could tell only by all its bytes.
 */
export type PackReference = string;

/** The name in a pack's reference. */
export function packName(reference: PackReference): string {
  return reference.slice(0, 64);
}

/** Where one frame lies in its pack, and which of the pack's segments it holds. */
export interface FrameEntry {
  readonly number: number;
  readonly offset: number;
  /** As stored, tag included. */
  readonly length: number;
  readonly codec: number;
  /** Number in the pack of the frame's first segment, and how many it holds (1-16). */
  readonly firstSegment: number;
  readonly segments: number;
}

export interface PackIndex {
  readonly frames: readonly FrameEntry[];
  /** Segment ids, 32 bytes each, in pack order. */
  readonly ids: Buffer;
  readonly segments: number;
  /** The key that opens the pack's frames. */
  readonly key: KeyObject;
}

/** A finished pack: its name, and its bytes in pieces ready for `create`. */
export interface SealedPack {
  readonly name: string;
  readonly reference: PackReference;
  readonly pieces: readonly Uint8Array[];
  readonly size: number;
}

export interface PackWriter {
  /** Segments added so far: the pack number of the next one. */
  readonly segments: number;
  /** Adds 1-16 whole segments with their ids as one frame; returns the pack number of the first. `plain` may be reused afterwards. */
  addFrame(plain: Uint8Array, ids: readonly Uint8Array[]): number;
  /** Seals the index and names the pack. Call once, last. */
  finish(): SealedPack;
}

/**
 * Builds one pack in memory under a fresh key. `level` is zstd's, 1-3. Each box is opened again when it is sealed; one that does not give
 * back what went into it throws `function-failed`.
 */
export function newPack(keys: EpochKeys, level: number): PackWriter {
  const prefix = packPrefix(keys.epoch);
  const { key, wrapped } = freshKey(keys.sealKey, prefix);
  const entries: Buffer[] = [];
  const ids: Uint8Array[] = [];
  const body: Buffer[] = [];
  return {
    get segments() {
      return ids.length;
    },
    addFrame(plain, frameIds) {
      checkFrame(plain.length, frameIds.length, ids.length);
      const coded = encode(plain, level);
      const [sealed, tag] = seal(key, countedNonce(entries.length), coded.bytes);
      if (!opensTo(key, countedNonce(entries.length), [sealed, tag], coded.bytes)) throw badSeal('A frame');
      if (coded.codec === Codec.zstd) releaseWhole(coded.bytes);
      entries.push(frameEntry(sealed.length + TAG_SIZE, coded.codec, frameIds.length));
      body.push(sealed, tag);
      return ids.push(...frameIds) - frameIds.length;
    },
    finish() {
      const index = Buffer.concat([u16Bytes(entries.length), ...entries, ...ids]);
      prefix.writeUInt32LE(index.length + TAG_SIZE, 12);
      const header = Buffer.concat([prefix, wrapped]);
      const [box, tag] = seal(key, HEADER_NONCE, index, header);
      if (!opensTo(key, HEADER_NONCE, [box, tag], index, header)) throw badSeal('The index');
      const pieces = [Buffer.concat([header, box, tag]), ...body];
      const name = contentName(pieces);
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
      return { name, reference: name + tag.toString('hex'), pieces, size };
    },
  };
}

/**
 * The index of a pack from its first INDEX_READ_SIZE bytes (or all of them); with `reference`, of that pack and no other.
 * Throws `bad-format`, `wrong-key`, `damaged`, each naming `origin`.
 */
export function openPackIndex(
  keyring: Keyring,
  bytes: Uint8Array,
  origin: string,
  reference?: PackReference,
): PackIndex {
  const reader = new ByteReader(bytes, origin);
  reader.magic(MAGIC);
  const keys = keyring.epoch(reader.u32(), origin);
  const sealedLength = reader.count(INDEX_READ_SIZE - HEADER_SIZE, 'bytes of index');
  const wrapped = reader.take(WRAPPED_KEY_SIZE);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = unwrapKey(keys.sealKey, wrapped, packPrefix(keys.epoch), origin);
  const box = reader.take(sealedLength);
  checkReference(box, reference, origin);
  const index = open(key, HEADER_NONCE, box, `The index of ${origin}`, view.subarray(0, HEADER_SIZE));
  return { ...parseIndex(index, HEADER_SIZE + sealedLength, origin), key };
}

/** The key epoch of a pack whose index has been opened, from its first bytes. */
export function epochOfPack(head: Uint8Array): number {
  return Buffer.from(head.buffer, head.byteOffset, head.byteLength).readUInt32LE(MAGIC.length);
}

function checkReference(indexBox: Buffer, reference: PackReference | undefined, origin: string): void {
  const tag = indexBox.subarray(-TAG_SIZE).toString('hex');
  if (reference === undefined || reference.endsWith(tag)) return;
  throw new EkkoError(
    'damaged',
    `${origin} is not the pack that is meant: another one lies in its place, or its index was changed.`,
  );
}

/** One frame's segments, `entry.segments * SEGMENT_SIZE` bytes, from its bytes as stored. Throws `damaged`, `bad-format`. */
export function openFrame(index: PackIndex, entry: FrameEntry, stored: Uint8Array, origin: string): Buffer {
  const name = `Frame ${entry.number} of ${origin}`;
  const coded = open(index.key, countedNonce(entry.number), stored, name);
  const plain = decode({ codec: entry.codec, bytes: coded }, entry.segments * SEGMENT_SIZE, name);
  if (entry.codec === Codec.zstd) release(coded);
  return plain;
}

function parseIndex(index: Buffer, bodyStart: number, origin: string): Omit<PackIndex, 'key'> {
  const reader = new ByteReader(index, `The index of ${origin}`);
  const frames: FrameEntry[] = [];
  let offset = bodyStart;
  let firstSegment = 0;
  for (let left = reader.u16(), number = 0; left > 0; left--, number++) {
    const entry = { number, offset, length: reader.u32(), codec: reader.u8(), firstSegment, segments: reader.u8() };
    if (entry.segments === 0 || entry.segments > SEGMENTS_PER_FRAME) {
      throw reader.refuse(`has a frame of ${entry.segments} segments`);
    }
    offset += entry.length;
    firstSegment += entry.segments;
    frames.push(entry);
  }
  if (firstSegment > SEGMENTS_PER_PART) throw reader.refuse(`counts ${firstSegment} segments`);
  const ids = reader.take(firstSegment * ID_SIZE);
  reader.end();
  return { frames, ids, segments: firstSegment };
}

function badSeal(what: string): EkkoError {
  return new EkkoError(
    'function-failed',
    `${what} of a new pack does not open to what was sealed. Nothing was stored; check this machine's memory.`,
  );
}

function packPrefix(epoch: number): Buffer {
  const prefix = Buffer.alloc(PREFIX_SIZE);
  prefix.write(MAGIC, 'latin1');
  prefix.writeUInt32LE(epoch, 8);
  return prefix;
}

function frameEntry(length: number, codec: number, segments: number): Buffer {
  const entry = Buffer.alloc(FRAME_ENTRY_SIZE);
  entry.writeUInt32LE(length);
  entry.writeUInt8(codec, 4);
  entry.writeUInt8(segments, 5);
  return entry;
}

function u16Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function checkFrame(bytes: number, segments: number, before: number): void {
  const fits = segments >= 1 && segments <= SEGMENTS_PER_FRAME && before + segments <= SEGMENTS_PER_PART;
  if (fits && bytes === segments * SEGMENT_SIZE) return;
  throw new EkkoError(
    'bad-input',
    `A frame of ${segments} segments and ${bytes} bytes does not fit a pack of ${before}.`,
  );
}

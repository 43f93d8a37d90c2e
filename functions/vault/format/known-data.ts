import { SEGMENTS_PER_PART } from '../words.ts';
import type { ByteReader } from './bytes.ts';
import { ID_SIZE, type PackReference } from './pack.ts';

/** Data that a staged part tells by its ids, because the vault has it (`docs/format.md`, "Staged parts"). */
export interface KnownData {
  /** Where they lie, as the vault said when it was asked: at most `MOST_NAMED_PACKS`. */
  readonly packs: readonly PackReference[];
  /** Their ids in order, `ID_SIZE` bytes each. */
  readonly ids: Buffer;
}

/** Bounds how many indexes a part can make a function load. */
export const MOST_NAMED_PACKS = 64;
const REFERENCE_SIZE = 48;

export const LARGEST_KNOWN_DATA = 1 + MOST_NAMED_PACKS * REFERENCE_SIZE + SEGMENTS_PER_PART * ID_SIZE;

export function encodeKnownData({ packs, ids }: KnownData): Buffer {
  return Buffer.concat([Buffer.of(packs.length), ...packs.map((pack) => Buffer.from(pack, 'hex')), ids]);
}

/** `segments`: how many are told so. Throws `bad-format`. */
export function decodeKnownData(reader: ByteReader, segments: number): KnownData {
  const count = reader.u8();
  if (count > MOST_NAMED_PACKS) throw reader.refuse(`names ${count} packs, at most ${MOST_NAMED_PACKS} are allowed`);
  const packs = Array.from({ length: count }, () => reader.take(REFERENCE_SIZE).toString('hex'));
  return { packs, ids: reader.take(segments * ID_SIZE) };
}

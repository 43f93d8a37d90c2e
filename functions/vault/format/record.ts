import type { EpochKeys, Keyring } from '../keys/epoch-keys.ts';
import { release } from '../memory.ts';
import { ByteReader, u32Bytes } from './bytes.ts';
import { Codec, decode, encode } from './compression.ts';
import { countedNonce, freshKey, open, seal, unwrapKey, WRAPPED_KEY_SIZE } from './sealing.ts';

/** The sealed record: pages, manifests, points, receipts, journal bodies and states, moves, sweep notes, topologies. Layout: `docs/format.md`, "Records". */
export const RecordKind = {
  page: 1,
  manifest: 2,
  point: 3,
  receipt: 4,
  journalEntry: 5,
  journalState: 6,
  move: 7,
  sweepNote: 8,
  topology: 9,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

const MAGIC = 'EKKOREC1';
const PREFIX_SIZE = 16;
const HEADER_SIZE = PREFIX_SIZE + WRAPPED_KEY_SIZE + 4;
/** Records are bounded: the largest is the state of a very long journal. */
export const LARGEST_RECORD = 64 * 1024 * 1024;
const LEVEL = 3;

export interface RecordPlace {
  readonly kind: RecordKind;
  /** What the record is bound to beside its kind: the object key where the key is decided by input, else ''. */
  readonly context: string;
}

/** Seals `plain` under a fresh key. The result is the whole object. */
export function sealRecord(keys: EpochKeys, place: RecordPlace, plain: Uint8Array): Buffer {
  const coded = encode(plain, LEVEL);
  const prefix = Buffer.alloc(PREFIX_SIZE);
  prefix.write(MAGIC, 'latin1');
  prefix.writeUInt8(place.kind, 8);
  prefix.writeUInt8(coded.codec, 9);
  prefix.writeUInt32LE(keys.epoch, 12);
  const { key, wrapped } = freshKey(keys.sealKey, prefix);
  const header = Buffer.concat([prefix, wrapped, u32Bytes([plain.length])]);
  return Buffer.concat([header, ...seal(key, countedNonce(0), coded.bytes, additional(header, place))]);
}

/**
 * The plaintext of a record that must be of this kind and context.
 * Throws `bad-format` (not a record, another kind or version), `wrong-key` (unknown epoch), `damaged` (any byte changed).
 */
export function openRecord(keyring: Keyring, place: RecordPlace, bytes: Uint8Array, origin: string): Buffer {
  const reader = new ByteReader(bytes, origin);
  reader.magic(MAGIC);
  const kind = reader.u8();
  if (kind !== place.kind) throw reader.refuse(`is a record of kind ${kind}, expected kind ${place.kind}`);
  const codec = reader.u8();
  reader.take(2);
  const keys = keyring.epoch(reader.u32(), origin);
  const wrapped = reader.take(WRAPPED_KEY_SIZE);
  const length = reader.count(LARGEST_RECORD, 'bytes of content');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = unwrapKey(keys.sealKey, wrapped, view.subarray(0, PREFIX_SIZE), origin);
  const header = view.subarray(0, HEADER_SIZE);
  const coded = open(key, countedNonce(0), reader.rest(), origin, additional(header, place));
  const plain = decode({ codec, bytes: coded }, length, origin);
  if (codec === Codec.zstd) release(coded);
  return plain;
}

/** The key epoch that a record says it is sealed under, before anything is known of it; 0 for bytes that are none. */
export function epochOfRecord(bytes: Uint8Array): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.length >= PREFIX_SIZE && view.toString('latin1', 0, 8) === MAGIC ? view.readUInt32LE(12) : 0;
}

function additional(header: Uint8Array, place: RecordPlace): Buffer {
  return Buffer.concat([header, Buffer.from(place.context)]);
}

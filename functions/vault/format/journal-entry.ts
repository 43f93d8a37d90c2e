import { createHmac, timingSafeEqual } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { checkEntry } from '../journal/check-entry.ts';
import type { JournalEntry } from '../journal/entries.ts';
import { type EpochKeys, type Keyring, keyringOf } from '../keys/epoch-keys.ts';
import { checkName, journalKey } from '../store/object-names.ts';
import { ByteReader, parseJson, u64Bytes } from './bytes.ts';
import { openRecord, RecordKind, type RecordPlace, sealRecord } from './record.ts';

/** The stored bytes of a journal entry. Layout: `docs/format.md`, "Journal entries". */
const MAGIC = 'EKKOJNL1';
const DIGEST_SIZE = 32;
const MAC_SIZE = 32;
/** magic ‖ position ‖ digest of the entry before; the sealed record follows, then the MAC. */
const HEADER_SIZE = MAGIC.length + 8 + DIGEST_SIZE;
/** Where a record tells its key epoch: the MAC's key must be known before anything is trusted. */
const EPOCH_AT = HEADER_SIZE + 12;

/** 1 MiB: what an entry may have in bytes as stored. Whoever has more to say (lists of condemned names) writes several. */
export const LARGEST_ENTRY = 1024 * 1024;
/** What stands for the digest of the entry before the first one. */
export const NO_DIGEST = '0'.repeat(2 * DIGEST_SIZE);

/**
 * The bytes of an entry, sealed under a fresh key: no two calls give the same.
 * `previousDigest` is the SHA-256 (hex) of the bytes at `position - 1`, or `NO_DIGEST`. Throws `bad-input` above `LARGEST_ENTRY`.
 */
export function encodeEntry(keys: EpochKeys, position: number, previousDigest: string, entry: JournalEntry): Buffer {
  const record = sealRecord(keys, placeAt(position), Buffer.from(JSON.stringify(entry)));
  const previous = Buffer.from(checkName(previousDigest), 'hex');
  const body = Buffer.concat([Buffer.from(MAGIC, 'latin1'), u64Bytes(position), previous, record]);
  const size = body.length + MAC_SIZE;
  if (size <= LARGEST_ENTRY) return Buffer.concat([body, macOf(keys, body)]);
  throw new EkkoError(
    'bad-input',
    `A ${entry.type} entry of ${size} bytes is too long for the journal, at most ${LARGEST_ENTRY} are allowed: split it.`,
  );
}

/**
 * The entry that must stand at `position` behind the entry of `previousDigest` (hex). `origin` names it in messages.
 * Throws `journal-broken` (MAC, position, chain, length), `wrong-key` (unknown epoch), `bad-format` (not an entry, or one that a
 * newer Ekko wrote).
 */
export function decodeEntry(
  keyring: Keyring,
  position: number,
  previousDigest: string,
  bytes: Uint8Array,
  origin: string,
): JournalEntry {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new ByteReader(checkSize(whole, origin), origin);
  reader.magic(MAGIC);
  checkMac(keyring.epoch(whole.readUInt32LE(EPOCH_AT), origin), whole, origin);
  checkPosition(reader.take(8).readBigUInt64LE(), position, origin);
  checkDigest(reader.take(DIGEST_SIZE).toString('hex'), previousDigest, origin);
  const record = whole.subarray(reader.at, whole.length - MAC_SIZE);
  return checkEntry(parseJson(openRecord(keyring, placeAt(position), record, origin), origin), origin);
}

/** The entry that must stand at `position`, whatever it follows: who wrote it held these keys. Throws as `decodeEntry`. */
export function decodeLoneEntry(keys: EpochKeys, position: number, bytes: Uint8Array, origin: string): JournalEntry {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const previous = whole.toString('hex', HEADER_SIZE - DIGEST_SIZE, HEADER_SIZE);
  return decodeEntry(keyringOf([keys]), position, previous, bytes, origin);
}

/** The key epoch that an entry says it is sealed under, before anything is known of it. Throws `journal-broken` for bytes that are none. */
export function epochOfEntry(bytes: Uint8Array, origin: string): number {
  return checkSize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), origin).readUInt32LE(EPOCH_AT);
}

function placeAt(position: number): RecordPlace {
  return { kind: RecordKind.journalEntry, context: journalKey(position) };
}

function macOf(keys: EpochKeys, body: Uint8Array): Buffer {
  return createHmac('sha256', keys.journalKey).update(body).digest();
}

function checkSize(bytes: Buffer, origin: string): Buffer {
  const least = EPOCH_AT + 4 + MAC_SIZE;
  if (bytes.length < least) throw broken(origin, `is cut short: it has ${bytes.length} bytes`);
  if (bytes.length > LARGEST_ENTRY)
    throw broken(origin, `has more than the ${LARGEST_ENTRY} bytes of the longest entry`);
  return bytes;
}

function checkMac(keys: EpochKeys, whole: Buffer, origin: string): void {
  const end = whole.length - MAC_SIZE;
  if (timingSafeEqual(macOf(keys, whole.subarray(0, end)), whole.subarray(end))) return;
  throw broken(origin, 'fails its MAC: it was changed or cut, or written under another key');
}

function checkPosition(found: bigint, expected: number, origin: string): void {
  if (found === BigInt(expected)) return;
  throw broken(origin, `was written as entry ${found} and stands at position ${expected}`);
}

function checkDigest(found: string, expected: string, origin: string): void {
  if (found === expected) return;
  throw broken(
    origin,
    `follows an entry of digest ${found}, but the entry before it has ${expected}: two histories are mixed`,
  );
}

function broken(origin: string, found: string): EkkoError {
  return new EkkoError(
    'journal-broken',
    `${origin} ${found}. Put the original entry back from a copy of the vault, and find out who else writes there.`,
  );
}

import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { decodeEntry, encodeEntry, LARGEST_ENTRY, NO_DIGEST } from '#vault/format/journal-entry.ts';
import { openRecord, RecordKind } from '#vault/format/record.ts';
import { MOST_NAMES } from '#vault/journal/entries.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { contentName, journalKey } from '#vault/store/object-names.ts';
import { condemned, created, EVERY_TYPE, keyringFrom, nameFor, started } from './histories.ts';
import { chain, keyring } from './histories-on-stores.ts';

const GOLDEN = new URL('../../../golden/journal/', import.meta.url);
const previous = nameFor('the entry before');
const bytes = encodeEntry(keyring.newest, 9, previous, started(1));

function failure(changed: Uint8Array, position = 9, digest = previous, keys = keyring): unknown {
  try {
    return decodeEntry(keys, position, digest, changed, 'The entry');
  } catch (error) {
    return error;
  }
}

test('an entry of every type comes back as it was', () => {
  let digest = NO_DIGEST;
  for (const [i, stored] of chain(EVERY_TYPE).entries()) {
    expect(decodeEntry(keyring, i + 1, digest, stored, 'The entry')).toEqual(EVERY_TYPE[i]);
    digest = contentName([stored]);
  }
});

test('the golden entries still decode', async () => {
  const keys = keyringOf([deriveEpochKeys(Buffer.alloc(32, 1), 'golden', 1)]);
  const golden = JSON.parse(await readFile(new URL('entries.json', GOLDEN), 'utf8')) as {
    entry: unknown;
    hex: string;
  }[];
  let digest = NO_DIGEST;
  for (const [i, { entry, hex }] of golden.entries()) {
    const stored = Buffer.from(hex, 'hex');
    expect(decodeEntry(keys, i + 1, digest, stored, 'The golden entry')).toEqual(entry);
    digest = contentName([stored]);
  }
  expect(golden.map(({ entry }) => entry)).toEqual(EVERY_TYPE);
});

test('the layout is magic, position, digest, record, MAC', () => {
  expect(bytes.subarray(0, 8).toString()).toBe('EKKOJNL1');
  expect(bytes.readBigUInt64LE(8)).toBe(9n);
  expect(bytes.toString('hex', 16, 48)).toBe(previous);
  const end = bytes.length - 32;
  const place = { kind: RecordKind.journalEntry, context: journalKey(9) };
  expect(JSON.parse(openRecord(keyring, place, bytes.subarray(48, end), 'record').toString())).toEqual(started(1));
  const mac = createHmac('sha256', keyring.newest.journalKey).update(bytes.subarray(0, end)).digest();
  expect(bytes.subarray(end)).toEqual(mac);
});

test('a flipped bit is found in every byte', () => {
  for (let at = 0; at < bytes.length; at++) {
    for (const bit of [0, 3, 7]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      // Bytes 60-63 choose the key that the MAC is checked with.
      const code = at < 8 ? 'bad-format' : at >= 60 && at < 64 ? 'wrong-key' : 'journal-broken';
      expect([at, codeOf(failure(changed))]).toEqual([at, code]);
    }
  }
});

test('an entry that was cut or has grown is refused at every length', () => {
  for (let length = 0; length < bytes.length; length++) {
    expect([length, codeOf(failure(bytes.subarray(0, length)))]).toEqual([length, 'journal-broken']);
  }
  expect(codeOf(failure(Buffer.concat([bytes, Buffer.alloc(1)])))).toBe('journal-broken');
  expect(failure(Buffer.concat([bytes, Buffer.alloc(LARGEST_ENTRY)]))).toMatchObject({
    code: 'journal-broken',
    message: expect.stringContaining(`more than the ${LARGEST_ENTRY} bytes`),
  });
});

test('an entry at another position is refused, and the message names both', () => {
  expect(failure(bytes, 10)).toMatchObject({
    code: 'journal-broken',
    message: expect.stringMatching(/written as entry 9 and stands at position 10/),
  });
});

test('an entry behind another one is refused', () => {
  const other = nameFor('another entry');
  expect(failure(bytes, 9, other)).toMatchObject({ code: 'journal-broken', message: expect.stringContaining(other) });
});

test('another root key of the same epoch fails the MAC, an unknown epoch is the wrong key', () => {
  expect(codeOf(failure(bytes, 9, previous, keyringFrom(8)))).toBe('journal-broken');
  expect(codeOf(failure(bytes, 9, previous, keyringFrom(7, 2)))).toBe('wrong-key');
});

test('an entry of an older epoch is read with its own keys', () => {
  const both = keyringOf([keyring.newest, keyringFrom(9, 2).newest]);
  expect(failure(bytes, 9, previous, both)).toEqual(started(1));
});

test('the longest list of condemned names fits, and more is refused', () => {
  const packs = Array.from({ length: MOST_NAMES }, (_, i) => nameFor(`pack ${i}`));
  const longest = encodeEntry(keyring.newest, 9, previous, condemned({ packs }));
  expect(failure(longest)).toEqual(condemned({ packs }));
  const tooLong = Array.from({ length: 40_000 }, (_, i) => nameFor(`pack ${i}`));
  expect(() => encodeEntry(keyring.newest, 9, previous, condemned({ packs: tooLong }))).toThrow(
    expect.objectContaining({ code: 'bad-input' }),
  );
});

test('an entry never repeats its bytes', () => {
  const twice = [1, 2].map(() => encodeEntry(keyring.newest, 1, NO_DIGEST, created).toString('hex'));
  expect(new Set(twice).size).toBe(2);
});

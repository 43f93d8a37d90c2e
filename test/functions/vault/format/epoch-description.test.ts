import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { decodeEpochDescription, encodeEpochDescription, isAuthentic } from '#vault/format/epoch-description.ts';
import { type KeyEpoch, openSecrets, sealSecrets } from '#vault/format/key-epoch.ts';
import { open } from '#vault/format/sealing.ts';
import { sealEpoch } from '#vault/key-epochs/seal-epoch.ts';
import { deriveEpochKeys } from '#vault/keys/epoch-keys.ts';
import { fingerprintOf, newIdentity } from '#vault/keys/identity.ts';
import { contentName } from '#vault/store/object-names.ts';

const VAULT = '0123456789abcdef'.repeat(2);
const SINCE = '2026-11-20T19:15:03.000Z';
const SCRYPT = { salt: Buffer.alloc(16, 7).toString('base64'), n: 131_072, r: 8, p: 1 };
const rootKey = randomBytes(32);
const keys = deriveEpochKeys(rootKey, VAULT, 3);
const earlier = [randomBytes(32), randomBytes(32)];
const alice = newIdentity().identity;
const head = newIdentity().identity;

async function example(start: number | undefined = 12) {
  const recipients = [
    { kind: 'key-file', publicKey: alice.publicKey, label: 'desk "1"', since: SINCE },
    { kind: 'passphrase', publicKey: head.publicKey, since: SINCE, scrypt: SCRYPT },
  ] as const;
  const epoch = await sealEpoch({ keys, rootKey, recipients, earlier });
  return { format: 1, vault: VAULT, ...(start === undefined ? {} : { start }), epoch } as const;
}

test.each([12, undefined])('a key object comes back as it was (start %s)', async (start) => {
  const description = await example(start);
  const read = decodeEpochDescription(encodeEpochDescription(keys, description), 'It');
  expect(read.description).toEqual(description);
  expect(isAuthentic(keys, read)).toBe(true);
  const { publicKeys, earlier: older } = openSecrets(keys, read.description.epoch, 'It');
  expect([...publicKeys]).toEqual([alice, head].map(({ publicKey }) => [fingerprintOf(publicKey), publicKey]));
  expect(older).toEqual(earlier);
});

test('any secrets survive being sealed and opened, and no two boxes are the same', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const fingerprint = fc.stringMatching(/^[0-9a-f]{16}$/);
  fc.assert(
    fc.property(fc.dictionary(fingerprint, bytes), fc.array(bytes, { maxLength: 20 }), (people, roots) => {
      const secrets = { publicKeys: new Map(Object.entries(people)), earlier: roots };
      const boxes = [sealSecrets(keys, secrets), sealSecrets(keys, secrets)];
      expect(new Set(boxes).size).toBe(2);
      const opened = openSecrets(keys, { secrets: boxes[0] } as KeyEpoch, 'It');
      expect([...opened.publicKeys].map(([who, key]) => [who, [...key]])).toEqual(
        Object.entries(people).map(([who, key]) => [who, [...key]]),
      );
      expect(opened.earlier.map((root) => [...root])).toEqual(roots.map((root) => [...root]));
    }),
    { numRuns: 50 },
  );
});

test('no flipped bit of a key object is believed, were it given the name of its new bytes', async () => {
  const bytes = encodeEpochDescription(keys, await example());
  const original = decodeEpochDescription(bytes, 'It').description;
  let refused = 0;
  // One bit of each byte, another one each time.
  for (let bit = 0; bit < bytes.length * 8; bit += 9) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(contentName([flipped])).not.toBe(contentName([bytes]));
    const read = attempt(() => decodeEpochDescription(flipped, 'It'));
    // Blanks between JSON's tokens say nothing, whatever stands there.
    const same = typeof read === 'object' && JSON.stringify(read.description) === JSON.stringify(original);
    if (typeof read === 'string') expect([bit, read]).toEqual([bit, 'bad-format']);
    else if (!same) expect([bit, isAuthentic(keys, read)]).toEqual([bit, false]);
    if (!same) refused++;
  }
  expect(refused).toBeGreaterThan(bytes.length * 0.7);
});

test('secrets are a box under the seal key with the documented additional data', async () => {
  const box = Buffer.from((await example()).epoch.secrets, 'base64');
  const place = Buffer.from(`ekko/1 epoch\0${VAULT}\x003`);
  const plain = open(keys.sealKey, box.subarray(0, 12), box.subarray(12), 'It', place);
  expect(JSON.parse(plain.toString())).toEqual({
    publicKeys: [alice, head].map(({ publicKey }) => ({
      recipient: fingerprintOf(publicKey),
      key: publicKey.toString('base64'),
    })),
    earlier: earlier.map((root) => root.toString('base64')),
  });
});

test('secrets of another epoch or vault do not open', async () => {
  const { epoch } = await example();
  for (const other of [deriveEpochKeys(rootKey, VAULT, 2), deriveEpochKeys(rootKey, 'f'.repeat(32), 3)]) {
    expect(attempt(() => openSecrets(other, epoch, 'It'))).toBe('damaged');
    expect(isAuthentic(other, decodeEpochDescription(encodeEpochDescription(keys, await example()), 'It'))).toBe(false);
  }
});

describe('a key object is refused', () => {
  type Change = (
    object: Record<string, unknown>,
    epoch: Record<string, unknown>,
    wrapped: Record<string, unknown>,
  ) => void;
  const scrypt =
    (change: Partial<typeof SCRYPT>): Change =>
    (_, __, wrapped) => {
      wrapped['scrypt'] = { ...SCRYPT, ...change };
    };
  test.each<[string, Change]>([
    ['of another format', (object) => Object.assign(object, { format: 2 })],
    ['of a vault that is none', (object) => Object.assign(object, { vault: '../..' })],
    ['with a field too many', (object) => Object.assign(object, { more: 1 })],
    ['with a field too many in its epoch', (_, epoch) => Object.assign(epoch, { more: 1 })],
    ['with a field too many in a recipient', (_, __, wrapped) => Object.assign(wrapped, { more: 1 })],
    ['of epoch 0', (_, epoch) => Object.assign(epoch, { number: 0 })],
    ['of epoch 10,000', (_, epoch) => Object.assign(epoch, { number: 10_000 })],
    ['that nobody opens', (_, epoch) => Object.assign(epoch, { wrapped: [] })],
    ['with too many recipients', (_, epoch) => Object.assign(epoch, { wrapped: Array(65).fill(epoch['wrapped']) })],
    ['with a label of two lines', (_, __, wrapped) => Object.assign(wrapped, { label: 'a\nb' })],
    ['with a kind unheard of', (_, __, wrapped) => Object.assign(wrapped, { kind: 'retina' })],
    ['with a staging key of 31 bytes', (_, epoch) => Object.assign(epoch, { stagingPublicKey: 'A'.repeat(40) })],
    ['whose passphrase would cost 64 GiB', scrypt({ n: 2 ** 26 })],
    ['whose passphrase would cost 512 MiB', scrypt({ n: 2 ** 19 })],
    ['whose passphrase would cost 64 times the time', scrypt({ p: 64 })],
    ['whose passphrase would cost 64 times the memory', scrypt({ r: 512 })],
    ['whose passphrase would be guessed at once', scrypt({ n: 2 ** 10 })],
    ['whose cost is no power of two', scrypt({ n: 2 ** 17 - 1 })],
    ['whose salt is short', scrypt({ salt: 'AAAA' })],
    ['whose salt is left out', (_, __, wrapped) => Object.assign(wrapped, { scrypt: undefined })],
  ])('%s', async (_, change) => {
    const object = JSON.parse(encodeEpochDescription(keys, await example()).toString()) as Record<string, unknown>;
    const epoch = object['epoch'] as Record<string, unknown>;
    change(object, epoch, (epoch['wrapped'] as Record<string, unknown>[])[1] ?? {});
    expect(attempt(() => decodeEpochDescription(Buffer.from(JSON.stringify(object)), 'It'))).toBe('bad-format');
  });

  test('that has too many bytes, or is no JSON', () => {
    for (const bytes of [Buffer.alloc(2 * 1024 * 1024, 32), Buffer.alloc(0), Buffer.from('null'), Buffer.from('[]')]) {
      expect(attempt(() => decodeEpochDescription(bytes, 'It'))).toBe('bad-format');
    }
  });

  test('before it is written, if nobody could read it', async () => {
    const description = await example();
    const { wrapped } = description.epoch;
    const epoch = { ...description.epoch, wrapped: wrapped.map((each) => ({ ...each, label: 'x'.repeat(256) })) };
    expect(attempt(() => encodeEpochDescription(keys, { ...description, epoch }))).toBe('bad-format');
  });
});

function attempt<T>(act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    return codeOf(error) ?? String(error);
  }
}

import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RecipientKind, WrappedRootKey } from '#vault/format/key-epoch.ts';
import { identityOf, newIdentity } from '#vault/keys/identity.ts';
import { unwrapRootKey, wrapRootKey } from '#vault/keys/recipients.ts';

const HERE = { vault: '0123456789abcdef0123456789abcdef', epoch: 1 };
const ROOT_KEY = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const PRIVATE_KEY = Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a', 'hex');
const SINCE = '2026-11-20T19:15:03.000Z';
const recipient = (kind: RecipientKind, publicKey: Uint8Array) => ({ kind, publicKey, since: SINCE });
const daily = newIdentity().identity;
const paper = newIdentity().identity;

const refusal = (code: string, message: RegExp | string = '') =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

async function wrapped(): Promise<WrappedRootKey[]> {
  return [
    await wrapRootKey(ROOT_KEY, recipient('key-file', daily.publicKey), HERE),
    await wrapRootKey(ROOT_KEY, recipient('escrow', paper.publicKey), HERE),
  ];
}

test('each recipient gets the root key back', async () => {
  const entries = await wrapped();
  expect(await unwrapRootKey(entries, daily, HERE)).toEqual(ROOT_KEY);
  expect(await unwrapRootKey(entries, paper, HERE)).toEqual(ROOT_KEY);
});

test('any root key and any place survive being wrapped and unwrapped', async () => {
  const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const places = fc.record({ vault: fc.stringMatching(/^[0-9a-f]{32}$/), epoch: fc.nat() });
  await fc.assert(
    fc.asyncProperty(keys, keys, places, async (rootKey, privateKey, place) => {
      const identity = identityOf(privateKey);
      const entry = await wrapRootKey(rootKey, recipient('escrow', identity.publicKey), place);
      expect(await unwrapRootKey([entry], identity, place)).toEqual(Buffer.from(rootKey));
    }),
    { numRuns: 50 },
  );
});

test('a root key that an earlier release wrapped still opens', async () => {
  const sealed =
    'YXcWV7eepaPiB+lHjt07/xXcxuyO8SyUU1vYm0zgrSTbsPoO4ugV5VdOVfXN+fCr90vTjg2NSFFR+R9PYiN2pdi8ZhuhPOSFRdnvNBOfggM=';
  const entry = { recipient: '300c9c9603b92a4b', kind: 'key-file', since: SINCE, sealed } as const;
  expect(await unwrapRootKey([entry], identityOf(PRIVATE_KEY), HERE)).toEqual(ROOT_KEY);
});

test('what is sealed is plain HPKE with the documented info', async () => {
  const identity = identityOf(PRIVATE_KEY);
  const entry = await wrapRootKey(ROOT_KEY, recipient('key-file', identity.publicKey), HERE);
  const bytes = Buffer.from(entry.sealed, 'base64');
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  const opened = await suite.open(
    {
      recipientKey: await suite.kem.deserializePrivateKey(new Uint8Array(PRIVATE_KEY).buffer),
      enc: new Uint8Array(bytes.subarray(0, 32)).buffer,
      info: new TextEncoder().encode(`ekko/1 root key\0${HERE.vault}\x001`).buffer,
    },
    new Uint8Array(bytes.subarray(32)).buffer,
  );
  expect(Buffer.from(opened)).toEqual(ROOT_KEY);
  expect(bytes.length).toBe(80);
});

test('two wraps of one key to one recipient have nothing in common', async () => {
  const [one] = await wrapped();
  const [other] = await wrapped();
  expect(one?.sealed.slice(0, 40)).not.toBe(other?.sealed.slice(0, 40));
});

test('a stranger gets nothing, and neither does anybody from no recipients', async () => {
  expect(await unwrapRootKey(await wrapped(), newIdentity().identity, HERE)).toBeUndefined();
  expect(await unwrapRootKey([], daily, HERE)).toBeUndefined();
});

test('a root key does not open in another vault or epoch', async () => {
  const entries = await wrapped();
  await expect(unwrapRootKey(entries, daily, { ...HERE, epoch: 2 })).rejects.toEqual(refusal('damaged'));
  await expect(unwrapRootKey(entries, daily, { ...HERE, vault: 'f'.repeat(32) })).rejects.toEqual(refusal('damaged'));
});

test('any flipped bit of a wrapped root key is noticed', async () => {
  const [entry] = await wrapped();
  if (entry === undefined) throw new Error('nothing was wrapped');
  const sealed = Buffer.from(entry.sealed, 'base64');
  for (let bit = 0; bit < sealed.length * 8; bit += 3) {
    const flipped = Buffer.from(sealed);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    // The top bit of an X25519 public key means nothing (RFC 7748), but HPKE binds the bytes as sent.
    const entries = [{ ...entry, sealed: flipped.toString('base64') }];
    await expect(unwrapRootKey(entries, daily, HERE)).rejects.toEqual(refusal('damaged'));
  }
});

test('a damaged entry does not hide a good one for the same recipient', async () => {
  const [entry] = await wrapped();
  if (entry === undefined) throw new Error('nothing was wrapped');
  const entries = [{ ...entry, sealed: 'AAAA' }, entry];
  expect(await unwrapRootKey(entries, daily, HERE)).toEqual(ROOT_KEY);
});

test.each([
  ['a short root key', () => wrapRootKey(Buffer.alloc(31), recipient('escrow', daily.publicKey), HERE)],
  ['a short public key', () => wrapRootKey(ROOT_KEY, recipient('escrow', Buffer.alloc(31)), HERE)],
  ['a public key of no use', () => wrapRootKey(ROOT_KEY, recipient('escrow', Buffer.alloc(32)), HERE)],
  [
    'a vault id with NUL',
    () => wrapRootKey(ROOT_KEY, recipient('escrow', daily.publicKey), { vault: 'a\0', epoch: 1 }),
  ],
  ['a negative epoch', () => wrapRootKey(ROOT_KEY, recipient('escrow', daily.publicKey), { ...HERE, epoch: -1 })],
])('wrapping refuses %s', async (_, wrap) => {
  await expect(wrap()).rejects.toEqual(refusal('bad-input'));
});

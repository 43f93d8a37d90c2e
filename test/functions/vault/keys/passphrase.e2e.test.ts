import { scryptSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { ScryptSettings, WrappedRootKey } from '#vault/format/key-epoch.ts';
import { fingerprintOf, identityOf } from '#vault/keys/identity.ts';
import { identityOfPassphrase, newPassphrase } from '#vault/keys/passphrase.ts';

const PASSPHRASE = 'correct horse battery staple';
const SINCE = '2026-11-20T19:15:03.000Z';
/** The least that is read: 32 MiB. */
const CHEAP: ScryptSettings = { salt: Buffer.alloc(16, 1).toString('base64'), n: 2 ** 15, r: 8, p: 1 };

function derived(text: string, { salt, n, r, p }: ScryptSettings) {
  return identityOf(scryptSync(text, Buffer.from(salt, 'base64'), 32, { N: n, r, p, maxmem: 2 ** 28 }));
}

function offer(text: string, scrypt = CHEAP): WrappedRootKey {
  const recipient = fingerprintOf(derived(text, scrypt).publicKey);
  return { recipient, kind: 'passphrase', since: SINCE, scrypt, sealed: '' };
}

test('a passphrase gives the key that scrypt of RFC 7914 makes of it, with a salt of its own each time', async () => {
  const [one, two] = [await newPassphrase(PASSPHRASE), await newPassphrase(PASSPHRASE)];
  expect(one.scrypt.salt).not.toBe(two.scrypt.salt);
  expect(one.scrypt).toMatchObject({ n: 131_072, r: 8, p: 1 });
  expect(one.identity.publicKey).toEqual(derived(PASSPHRASE, one.scrypt).publicKey);
});

test('a passphrase is found among all that a vault offers', async () => {
  const other = { ...CHEAP, salt: Buffer.alloc(16, 2).toString('base64') };
  const file: WrappedRootKey = { recipient: '0'.repeat(16), kind: 'key-file', since: SINCE, sealed: '' };
  const offered = [file, offer('another passphrase'), offer(PASSPHRASE, other)];
  expect((await identityOfPassphrase(PASSPHRASE, offered)).publicKey).toEqual(derived(PASSPHRASE, other).publicKey);
});

test('a vault that offers many salts costs the time of eight', async () => {
  const strangers = Array.from({ length: 9 }, (_, n) => ({
    ...offer(`stranger number ${n}`),
    recipient: `${n}`.repeat(16),
  }));
  await expect(identityOfPassphrase(PASSPHRASE, [...strangers, offer(PASSPHRASE)])).rejects.toThrow(/not one of this/);
});

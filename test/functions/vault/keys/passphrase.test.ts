import { scryptSync } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import type { ScryptSettings, WrappedRootKey } from '#vault/format/key-epoch.ts';
import { fingerprintOf, identityOf } from '#vault/keys/identity.ts';
import { checkPassphrase, identityOfPassphrase, newPassphrase } from '#vault/keys/passphrase.ts';
import { readPassphraseFile } from '#vault/keys/passphrase-file.ts';

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

test('settings that somebody else tells for a recipient do not hide the right ones', async () => {
  const right = offer(PASSPHRASE);
  const wrong = { ...right, scrypt: { ...CHEAP, salt: Buffer.alloc(16, 9).toString('base64') } };
  for (const offered of [
    [wrong, right],
    [right, wrong],
  ]) {
    expect(fingerprintOf((await identityOfPassphrase(PASSPHRASE, offered)).publicKey)).toBe(right.recipient);
  }
});

test('a passphrase typed in another form of the same letters is the same', async () => {
  const composed = 'Grüße aus Köln'.normalize('NFC');
  const found = await identityOfPassphrase(composed.normalize('NFD'), [offer(composed.normalize('NFKC'))]);
  expect(found.publicKey).toEqual(derived(composed.normalize('NFKC'), CHEAP).publicKey);
});

test('a wrong passphrase is told which keys would do, and is not shown', async () => {
  const offered = [{ ...offer(PASSPHRASE), label: 'in the head' }];
  const failure = identityOfPassphrase('incorrect horse', offered);
  await expect(failure).rejects.toMatchObject({
    code: 'wrong-key',
    message: /\(passphrase "in the head", since 2026-11-20\)/,
  });
  await expect(failure).rejects.not.toThrow(/horse/);
  await expect(identityOfPassphrase(PASSPHRASE, [])).rejects.toThrow(/has no passphrase; no key can open it/);
});

test.each([
  ['short', 'eleven char'],
  ['long', 'ab cd ef gh '.repeat(100)],
  ['monotonous', 'ababababababab'],
  ['of two lines', 'correct horse\nbattery'],
  ['of half a character', 'correct horse \ud800'],
])('a passphrase that is %s is refused, and not shown', async (_, text) => {
  const error = await newPassphrase(text).catch((cause: unknown) => cause);
  expect(codeOf(error)).toBe('bad-input');
  expect(String(error)).not.toContain(text.slice(0, 8));
  expect(() => checkPassphrase(PASSPHRASE)).not.toThrow();
});

describe('a passphrase file', () => {
  let path: string;
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ekko-passphrase-'));
    path = join(folder, 'passphrase');
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('gives its one line, without comments and the blanks around', async () => {
    await writeFile(path, `# for the vault in Bonn\n\n  Grüße aus Köln am Rhein \n`, { mode: 0o600 });
    expect(await readPassphraseFile(path)).toBe('Grüße aus Köln am Rhein');
  });

  test.each<[string, string, string]>([
    ['of two lines', `${PASSPHRASE}\nand more of it\n`, 'bad-format'],
    ['of none', '# nothing\n', 'bad-format'],
    ['of a short one', 'short\n', 'bad-input'],
  ])('%s is refused, and what is in it not shown', async (_, text, code) => {
    await writeFile(path, text, { mode: 0o600 });
    const error = await readPassphraseFile(path).catch((cause: unknown) => cause);
    expect(codeOf(error)).toBe(code);
    expect(String(error)).not.toContain('horse');
  });

  test('that others may read is refused', async () => {
    await writeFile(path, PASSPHRASE);
    await chmod(path, 0o644);
    await expect(readPassphraseFile(path)).rejects.toThrow(/chmod 600/);
  });
});

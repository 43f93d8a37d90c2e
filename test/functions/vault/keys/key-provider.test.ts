import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newEscrow } from '#vault/keys/escrow-code.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { escrowCodeProvider, keyFileProvider } from '#vault/keys/key-provider.ts';

test('a key file provider gives the identity of its file and names the file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-keys-'));
  const path = join(folder, 'key');
  const { publicKey } = await createKeyFile(path);
  const provider = keyFileProvider(path);
  expect((await provider.identity([])).publicKey).toEqual(publicKey);
  expect(provider.origin).toBe(`key file ${path}`);
  await rm(folder, { recursive: true });
});

test('an escrow code provider asks only when the identity is wanted, and does not name the code', async () => {
  const { code, publicKey } = newEscrow();
  let asked = 0;
  const provider = escrowCodeProvider(async () => {
    asked++;
    return code;
  });
  expect(asked).toBe(0);
  expect((await provider.identity([])).publicKey).toEqual(publicKey);
  expect(asked).toBe(1);
  expect(provider.origin).toBe('escrow code');
});

test('an escrow code provider passes on what is wrong with the code', async () => {
  await expect(escrowCodeProvider(async () => 'EK1').identity([])).rejects.toMatchObject({ code: 'bad-input' });
});

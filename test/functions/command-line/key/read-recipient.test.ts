import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatRecipient, newIdentity } from '#vault/keys/identity.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { readRecipientFile } from '../../../../functions/command-line/key/read-recipient.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-recipient-'));
  path = join(folder, 'recipient');
});
afterEach(() => rm(folder, { recursive: true }));

test('a file with a recipient in it gives its public key', async () => {
  const { publicKey } = newIdentity().identity;
  await writeFile(path, `The desk in Bonn:\n  ${formatRecipient(publicKey)}\n`);
  expect(await readRecipientFile(path)).toEqual(publicKey);
});

test('a key file is refused: nobody should have it but its owner', async () => {
  await createKeyFile(path);
  await expect(readRecipientFile(path)).rejects.toThrow(/holds a private key. It is secret/);
});

test.each(['', 'hello', 'ekko-recipient-1:short'])('a file that holds %j is refused', async (text) => {
  await writeFile(path, text);
  await expect(readRecipientFile(path)).rejects.toMatchObject({ code: 'bad-input' });
});

test('a file of two recipients, a missing one and a large one are refused', async () => {
  const two = [newIdentity(), newIdentity()].map(({ identity }) => formatRecipient(identity.publicKey));
  await writeFile(path, two.join('\n'));
  await expect(readRecipientFile(path)).rejects.toThrow('holds 2 recipients');
  await expect(readRecipientFile(`${path}.gone`)).rejects.toThrow('ENOENT');
  await writeFile(path, Buffer.alloc(100_000, 32));
  await expect(readRecipientFile(path)).rejects.toThrow('more than 65536 bytes');
});

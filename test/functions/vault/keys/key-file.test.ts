import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fingerprintOf, formatRecipient, newIdentity } from '#vault/keys/identity.ts';
import { createKeyFile, readKeyFile } from '#vault/keys/key-file.ts';

let folder = '';
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

const newPath = () => join(folder, `key-${files++}`);
const SECRET = newIdentity().privateKey.toString('base64url');

async function fileOf(text: string, mode = 0o600): Promise<string> {
  const path = newPath();
  await writeFile(path, text, { mode });
  await chmod(path, mode);
  return path;
}

async function failureOf(work: Promise<unknown>): Promise<Error> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure instanceof Error) return failure;
  throw new Error('it did not fail');
}

test('a new key file holds an identity that can be read again', async () => {
  const path = newPath();
  const made = await createKeyFile(path);
  const read = await readKeyFile(path);
  expect(read.publicKey).toEqual(made.publicKey);
  expect(read.privateKey.equals(made.privateKey)).toBe(true);
});

test('a new key file is for its owner only and names its recipient', async () => {
  const path = newPath();
  const { publicKey } = await createKeyFile(path);
  const text = await readFile(path, 'utf8');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(text).toContain(formatRecipient(publicKey));
  expect(text).toContain(fingerprintOf(publicKey));
  expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([expect.stringMatching(/^ekko-key-1:/), '']);
});

test('a key file is never overwritten', async () => {
  const path = await fileOf('precious');
  await expect(createKeyFile(path)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('exists'),
  });
  expect(await readFile(path, 'utf8')).toBe('precious');
});

test('a key file in a missing folder is refused', async () => {
  await expect(createKeyFile(join(folder, 'none', 'key'))).rejects.toMatchObject({ code: 'bad-input' });
});

test('line ends of other systems, blank lines and a missing last line end are read', async () => {
  expect((await readKeyFile(await fileOf(`# a\r\n\r\nekko-key-1:${SECRET}\r\n`))).publicKey).toHaveLength(32);
  expect((await readKeyFile(await fileOf(`ekko-key-1:${SECRET}`))).publicKey).toHaveLength(32);
});

test('a key file may be reached by a symbolic link, as mounted secrets are', async () => {
  const link = newPath();
  await symlink(await fileOf(`ekko-key-1:${SECRET}`), link);
  expect((await readKeyFile(link)).publicKey).toHaveLength(32);
});

test.each([0o640, 0o604, 0o620, 0o610, 0o644, 0o777])(
  'mode %o is refused with the command that mends it',
  async (mode) => {
    const path = await fileOf(`ekko-key-1:${SECRET}`, mode);
    const failure = await failureOf(readKeyFile(path));
    expect(failure).toMatchObject({ code: 'bad-input', message: expect.stringContaining(`chmod 600 ${path}`) });
  },
);

test('the command that mends the mode is safe to paste', async () => {
  const path = join(folder, "it's; rm -r $HOME");
  await writeFile(path, `ekko-key-1:${SECRET}`, { mode: 0o644 });
  await chmod(path, 0o644);
  const failure = await failureOf(readKeyFile(path));
  expect(failure.message).toContain(`chmod 600 '${folder}/it'\\''s; rm -r $HOME'`);
});

test('a missing key file is named, with the settings that give it', async () => {
  const failure = await failureOf(readKeyFile(join(folder, 'none')));
  expect(failure).toMatchObject({ code: 'bad-input', message: expect.stringContaining('none is missing') });
  expect(failure.message).toContain('EKKO_KEY_FILE');
});

test.each([
  ['an empty file', '', 'holds no key'],
  ['comments only', '# nothing\n', 'holds no key'],
  ['two keys', `ekko-key-1:${SECRET}\nekko-key-1:${SECRET}\n`, '2 lines'],
  ['a cut key', `ekko-key-1:${SECRET.slice(0, -1)}\n`, 'cut or changed'],
  ['bits behind the last byte', `ekko-key-1:${SECRET.slice(0, -1)}B\n`, 'cut or changed'],
  ['a later version', `ekko-key-2:${SECRET}\n`, 'version 2'],
  ['a recipient', `ekko-recipient-1:${SECRET}\n`, 'no line that begins with ekko-key-1:'],
  ['another format', `-----BEGIN PRIVATE KEY-----${SECRET}`, 'no line that begins with ekko-key-1:'],
  ['a long file', `ekko-key-1:${SECRET}\n#${'x'.repeat(5000)}`, '5056 bytes'],
])('%s is refused without showing what it holds', async (_, text, found) => {
  const failure = await failureOf(readKeyFile(await fileOf(text)));
  expect(failure).toMatchObject({ code: 'bad-format', message: expect.stringContaining(found) });
  expect(failure.message).not.toContain(SECRET.slice(0, 20));
});

test('a folder is refused', async () => {
  await expect(readKeyFile(folder)).rejects.toMatchObject({ code: 'bad-format' });
});

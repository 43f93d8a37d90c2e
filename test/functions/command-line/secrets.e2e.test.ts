import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEscrowCode } from '#vault/keys/escrow-code.ts';
import { readKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openVault } from '#vault/vault.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const PASSPHRASE = 'correct horse battery staple';
const MIB = 1024 ** 2;

let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
  await writeImage(desk.path('disk.img'), { size: 12 * MIB, segments: range(0, 192) });
  await writeFile(desk.path('passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 });
});
afterEach(() => desk.remove());

/** All that can be seen of a command from outside: what it says, and what the system tells of its process while it runs. */
async function watched(args: readonly string[], options: Parameters<Desk['start']>[1] = {}): Promise<Buffer> {
  const { child, ended } = desk.start(args, options);
  const seen: Buffer[] = [];
  let running = true;
  const finished = ended.finally(() => {
    running = false;
  });
  while (running) {
    for (const file of ['cmdline', 'environ']) {
      seen.push(await readFile(`/proc/${child.pid}/${file}`).catch(() => Buffer.alloc(0)));
    }
    await pause(10);
  }
  const { code, output, errors } = await finished;
  expect({ args, code, errors: errors.replace(/^\{.*\}$/gm, '') }).toMatchObject({ args, code: 0 });
  const all = Buffer.concat([...seen, Buffer.from(output), Buffer.from(errors)]);
  // It was looked at while it was Node.
  expect(all.includes('dist/ekko.mjs')).toBe(true);
  return all;
}

async function bytesBelow(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return Promise.all(entries.filter((e) => e.isFile()).map((e) => readFile(join(e.parentPath, e.name))));
}

/** In every way in which 32 bytes are usually written. */
function shapesOf(secret: Buffer): Buffer[] {
  const texts = (['hex', 'base64', 'base64url'] as const).map((form) => secret.toString(form).replace(/=+$/, ''));
  return [secret, ...[...texts, secret.toString('hex').toUpperCase()].map((text) => Buffer.from(text))];
}

test('no secret shows in arguments, environments, output, logs, or in the vault', async () => {
  const made = await desk.run(['init', 'vault', '--json']);
  const { code: escrowCode } = JSON.parse(made.output).escrow;
  const typed = { input: `${escrowCode}\n` };
  const seen = [
    await watched(['escrow', 'vault'], typed),
    await watched(['backup', 'vault', 'disk.img', '--verbose']),
    await watched(['key', 'add', 'vault', '--new-passphrase-file', 'passphrase', '--label', 'head']),
    await watched(['key', 'rotate', 'vault', '--verbose']),
    await watched(['key', 'rotate', 'vault', '--json', '--passphrase-file', 'passphrase'], { keyFile: undefined }),
    await watched(['backup', 'vault', 'disk.img', '--json', '--verbose']),
    await watched(['key', 'list', 'vault', '--json']),
    await watched(['key', 'check', 'vault', '--escrow-code'], { ...typed, keyFile: undefined }),
    await watched(['verify', 'vault', '--passphrase-file', 'passphrase', '--json'], { keyFile: undefined }),
    await watched(['restore', 'vault', 'latest', 'restored.raw', '--verbose']),
    await watched(['doctor', 'vault', '--json']),
  ];

  const vault = await openVault(openFileStore(desk.path('vault')), keyFileProvider(desk.path('key')));
  const rootKeys = vault.holder?.rootKeys() ?? [];
  expect(rootKeys).toHaveLength(3);
  const derived = [1, 2, 3].flatMap((epoch) => {
    const { idKey, sealKey, journalKey, staging } = vault.keyring.epoch(epoch, 'It');
    return [...[idKey, sealKey, journalKey].map((key) => key.export()), staging.privateKey];
  });
  const identities = [await readKeyFile(desk.path('key')), readEscrowCode(escrowCode)];
  const privateKeys = identities.map(({ privateKey }) => privateKey.export());
  const texts = [PASSPHRASE, escrowCode, escrowCode.replaceAll('-', '')].map((text) => Buffer.from(text));
  const secrets = [...[...rootKeys, ...derived, ...privateKeys].flatMap(shapesOf), ...texts];

  const stored = await bytesBelow(desk.path('vault'));
  expect(stored.length).toBeGreaterThan(20);
  for (const bytes of [...seen, ...stored]) expect(secrets.filter((secret) => bytes.includes(secret))).toEqual([]);
  // The search finds what is there.
  const keyFile = await readFile(desk.path('key'));
  expect(secrets.some((secret) => keyFile.includes(secret))).toBe(true);
  expect(existsSync(desk.path('restored.raw'))).toBe(true);
});

test('a command that fails shows no secret either', async () => {
  await desk.run(['init', 'vault', '--no-escrow']);
  const { privateKey } = await readKeyFile(desk.path('key'));
  const key = await readFile(desk.path('key'), 'utf8');
  await writeFile(desk.path('spoilt'), key.replace(/ekko-key-1:.../, 'ekko-key-1:***'), { mode: 0o600 });
  const secret = /ekko-key-1:...(.*)/.exec(key)?.[1] ?? '';
  expect(privateKey.export().toString('base64url')).toContain(secret);
  for (const args of [
    ['points', 'vault', '--key-file', 'spoilt'],
    ['points', 'vault', '--passphrase-file', 'spoilt'],
    ['points', 'vault', '--passphrase-file', 'passphrase'],
    ['key', 'add', 'vault', '--recipient-file', 'key'],
    ['key', 'add', 'vault', '--recipient', key.trim().split('\n').at(-1) ?? ''],
  ]) {
    const { code, output, errors } = await desk.run([...args, '--verbose']);
    expect([args, code === 0]).toEqual([args, false]);
    expect(output + errors).not.toContain(secret);
    expect(output + errors).not.toContain('horse');
  }
});

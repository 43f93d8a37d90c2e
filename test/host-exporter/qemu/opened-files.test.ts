import { mkdtemp, open, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identityOf } from '../../../host-exporter/qemu/file-identity.ts';
import { openedFiles } from '../../../host-exporter/qemu/opened-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-opened-'));
});
afterEach(() => rm(folder, { recursive: true }));

const identity = async (name: string) => identityOf(await stat(join(folder, name), { bigint: true }));

test('the files of the process that listens at a socket are known, also touched or moved, and no others', async () => {
  const socket = join(folder, 's');
  const server = createServer();
  await new Promise<void>((done) => server.listen(socket, done));
  await Promise.all(['one', 'two', 'closed'].map((name) => writeFile(join(folder, name), name)));
  const files = [await open(join(folder, 'one')), await open(join(folder, 'two'))];
  try {
    await utimes(join(folder, 'one'), 0, 0);
    await rename(join(folder, 'two'), join(folder, 'moved'));
    const opened = await openedFiles(socket);
    const has = async (name: string) => opened.has(await identity(name));
    expect([await has('one'), await has('moved'), await has('closed')]).toEqual([true, true, false]);
    const elsewhere = await openedFiles(join(folder, 'none'));
    expect(elsewhere.has(await identity('one'))).toBe(false);
  } finally {
    for (const file of files) await file.close();
    await new Promise((done) => server.close(done));
  }
});

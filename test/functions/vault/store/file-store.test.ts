import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openFileStore } from '#vault/store/file-store.ts';
import { removeLeftovers } from '#vault/store/incoming.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { describeObjectStore, listAll } from '../../../conformance/object-store.ts';

const BODY = [Buffer.from('body')];
const HOUR = 3_600_000;
let folder = '';
let root = '';
let store: ObjectStore;
let stores = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-store-'));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => {
  root = join(folder, String(stores++));
  store = openFileStore(root);
});

const keys = async () => (await listAll(store, '')).map(({ key }) => key);

describeObjectStore('file', async () => openFileStore(join(folder, 'conformance')));

test('an object is a file of the same name and bytes', async () => {
  await store.create('packs/3f/x', BODY);
  expect(await readFile(join(root, 'packs/3f/x'), 'utf8')).toBe('body');
  expect((await stat(join(root, 'packs/3f/x'))).nlink).toBe(1);
});

test('no temporary file is left, whether the object was created or existed', async () => {
  await store.create('a', BODY);
  await store.create('a', BODY);
  expect(await readdir(join(root, '.incoming'))).toEqual([]);
});

test('two stores over one directory see the same objects', async () => {
  await store.create('a', BODY);
  expect(await openFileStore(`${root}/`).create('a', BODY)).toBe('exists');
});

test('several stores of one process write at once without meeting in their temporary files', async () => {
  const names = Array.from({ length: 8 }, (_, at) => `packs/${at}`);
  const outcomes = await Promise.all(names.map((name) => openFileStore(root).create(name, [Buffer.from(name)])));
  expect(new Set(outcomes)).toEqual(new Set(['created']));
  for (const name of names) expect(await store.get(name)).toEqual(Buffer.from(name));
});

test('the directory itself may be reached by a symbolic link', async () => {
  await mkdir(root);
  await symlink(root, `${root}-link`);
  const linked = openFileStore(`${root}-link`);
  await linked.create('packs/a', BODY);
  expect(await linked.get('packs/a')).toEqual(BODY[0]);
  expect((await listAll(linked, '')).map(({ key }) => key)).toEqual(['packs/a']);
});

test('folders go with their last object', async () => {
  await store.create('staging/run/0000/1', BODY);
  await store.create('staging/run/0001/1', BODY);
  await store.remove(['staging/run/0000/1']);
  expect(await readdir(join(root, 'staging/run'))).toEqual(['0001']);
  await store.remove(['staging/run/0001/1']);
  expect(await readdir(root)).toEqual(['.incoming']);
});

test('a symbolic link to a file is neither listed, read nor replaced', async () => {
  await mkdir(join(root, 'packs'), { recursive: true });
  await symlink('/etc/hostname', join(root, 'packs/link'));
  expect(await keys()).toEqual([]);
  await expect(store.get('packs/link')).rejects.toMatchObject({
    code: 'object-missing',
    message: expect.stringContaining('symbolic link'),
  });
  await expect(store.create('packs/link', BODY)).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('symbolic link'),
  });
});

test('a symbolic link to a folder is never followed', async () => {
  await mkdir(root);
  await mkdir(`${root}-other`);
  await writeFile(`${root}-other/a`, 'precious');
  await symlink(`${root}-other`, join(root, 'packs'));
  expect(await keys()).toEqual([]);
  await expect(store.get('packs/a')).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('symbolic link'),
  });
  await expect(store.create('packs/b', BODY)).rejects.toMatchObject({ code: 'store-failed' });
  await expect(store.remove(['packs/a'])).rejects.toMatchObject({ code: 'store-failed' });
  await expect(listAll(store, 'packs/')).rejects.toMatchObject({ code: 'store-failed' });
  expect(await readdir(`${root}-other`)).toEqual(['a']);
});

test('odd files are not listed, and a pipe does not hang a reader', async () => {
  await store.create('a', BODY);
  for (const name of ['Upper', '.hidden', 'with blank']) await writeFile(join(root, name), 'x');
  await mkdir(join(root, 'lost+found'));
  await promisify(execFile)('mkfifo', [join(root, 'pipe')]);
  expect(await keys()).toEqual(['a']);
  await expect(store.get('pipe')).rejects.toMatchObject({ code: 'object-missing' });
  await expect(store.create('pipe', BODY)).rejects.toMatchObject({ code: 'store-failed' });
});

test('an object where a folder lies is refused, and the other way round', async () => {
  await store.create('a/b', BODY);
  await expect(store.create('a', BODY)).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('a folder lies there'),
  });
  await expect(store.create('a/b/c', BODY)).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringMatching(/ENOTDIR|EEXIST/),
  });
  await expect(store.get('a/b/c')).rejects.toMatchObject({ code: 'object-missing' });
  expect(await readdir(join(root, '.incoming'))).toEqual([]);
});

test('a directory that is a file has no objects and takes none', async () => {
  await writeFile(root, 'x');
  expect(await keys()).toEqual([]);
  await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
  await expect(store.create('a', BODY)).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining(root),
  });
});

test('a file too large to be an object is not read', async () => {
  await store.create('a', BODY);
  await truncate(join(root, 'a'), 2 ** 40);
  await expect(store.get('a')).rejects.toMatchObject({ code: 'damaged' });
  expect(await store.get('a', { start: 0, end: 6 })).toEqual(Buffer.from('body\0\0'));
});

test('the buffer of an object is exactly its bytes', async () => {
  await store.create('a', BODY);
  const bytes = await store.get('a', { start: 1, end: 3 });
  expect([bytes.byteOffset, bytes.buffer.byteLength]).toEqual([0, 2]);
});

test('a first write removes what a dead writer of this machine left, and nothing of a live one', async () => {
  await store.create('a', BODY);
  const live = await nameOfTemporary(root);
  // The same process id, but of a process that began at another time: the number was used again.
  const dead = live.split('-').with(2, '1').join('-');
  for (const name of [live, dead]) {
    await writeFile(join(root, '.incoming', name), 'half');
    await utimes(join(root, '.incoming', name), 0, 0);
  }
  await openFileStore(root).create('b', BODY);
  expect(await readdir(join(root, '.incoming'))).toEqual([live]);
});

test('files of unknown writers go when they are old enough', async () => {
  await store.create('a', BODY);
  const unknown = join(root, '.incoming', '0123456789ab-1-1-aa-0');
  await writeFile(unknown, 'half');
  expect(await removeLeftovers(root, HOUR)).toEqual({ files: 0, bytes: 0 });
  await utimes(unknown, new Date(), new Date(Date.now() - 2 * HOUR));
  expect(await removeLeftovers(root, HOUR)).toEqual({ files: 1, bytes: 4 });
  expect(await removeLeftovers(root, HOUR)).toEqual({ files: 0, bytes: 0 });
});

test('a missing directory has no left-overs', async () => {
  expect(await removeLeftovers(join(root, 'none'), 0)).toEqual({ files: 0, bytes: 0 });
});

/** Catches the name of a temporary file of this process while it is there. */
async function nameOfTemporary(directory: string): Promise<string> {
  const other = openFileStore(directory);
  const body = [Buffer.alloc(4 * 1024 * 1024)];
  for (let attempt = 0; attempt < 100; attempt++) {
    const writing = other.create(`tmp/${attempt}`, body, { durable: false });
    const [name] = await readdir(join(directory, '.incoming'));
    await writing;
    if (name !== undefined) return name;
  }
  throw new Error('no temporary file was ever seen');
}

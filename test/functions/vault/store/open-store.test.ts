import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '#vault/store/open-store.ts';
import { listAll } from '../../../conformance/object-store.ts';

const urlOf = async (text: string) => (await openStore(text, {})).url;

test.each([
  ['/backups/a', 'file:/backups/a'],
  ['/backups/../backups/a/', 'file:/backups/a'],
  ['file:/backups/a', 'file:/backups/a'],
  ['file:///backups/a%20b', 'file:/backups/a%20b'],
  ['FILE:/backups/a', 'file:/backups/a'],
  ['/backups/a b#c', 'file:/backups/a%20b%23c'],
  ['/backups/12:30', 'file:/backups/12:30'],
  ['/backups/me@home', 'file:/backups/me@home'],
  ['S3://bucket/a/', 's3://bucket/a'],
])('%s is the store %s', async (text, url) => {
  expect(await urlOf(text)).toBe(url);
});

test('a relative path is taken from the current directory', async () => {
  expect(await urlOf('vaults/a')).toBe(`file:${process.cwd()}/vaults/a`);
  expect(await urlOf('./12:30')).toBe(`file:${process.cwd()}/12:30`);
});

test.each(['', 'a\0b', 'file:a/b', 'file:', 'file://server/share', 'file:/a%2fb', 'http://host/a', 'backup:a'])(
  '%j is refused',
  async (text) => {
    await expect(openStore(text)).rejects.toMatchObject({ code: 'bad-input' });
  },
);

test.each([
  'http://user:hunter2@host/a',
  's3://user:hunter2@bucket/a',
  's3://user:hun/ter2@bucket/a?hunter2',
  's3://bucket/a?secret-access-key=hunter2',
  's3://bucket/a?endpoint=https://user:hunter2@host',
  's3://bucket/a?endpoint=https://user:hunter2%40host',
  's3://bucket/a#hunter2',
])('no password of %s is shown', async (text) => {
  const error = await openStore(text).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'bad-input', message: expect.not.stringMatching(/hunter2|ter2/) });
});

test('opening and reading make nothing, the first create makes the directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-store-'));
  const store = await openStore(join(folder, 'new/vault'));
  await expect(store.get('vault.json')).rejects.toMatchObject({ code: 'object-missing' });
  expect(await listAll(store, '')).toEqual([]);
  await store.remove(['vault.json']);
  expect(await readdir(folder)).toEqual([]);
  await store.create('vault.json', [Buffer.from('{}')]);
  expect(await readdir(join(folder, 'new/vault'))).toContain('vault.json');
  await rm(folder, { recursive: true });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '#vault/store/open-store.ts';
import { listAll } from '../../../conformance/object-store.ts';

test.each([
  ['/backups/a', 'file:/backups/a'],
  ['/backups/../backups/a/', 'file:/backups/a'],
  ['file:/backups/a', 'file:/backups/a'],
  ['file:///backups/a%20b', 'file:/backups/a%20b'],
  ['FILE:/backups/a', 'file:/backups/a'],
  ['/backups/a b#c', 'file:/backups/a%20b%23c'],
  ['/backups/12:30', 'file:/backups/12:30'],
])('%s is the store %s', (text, url) => {
  expect(openStore(text).url).toBe(url);
});

test('a relative path is taken from the current directory', () => {
  expect(openStore('vaults/a').url).toBe(`file:${process.cwd()}/vaults/a`);
  expect(openStore('./12:30').url).toBe(`file:${process.cwd()}/12:30`);
});

test.each(['', 'a\0b', 'file:a/b', 'file:', 'file://server/share', 'file:/a%2fb', 'http://host/a', 'backup:a'])(
  '%j is refused',
  (text) => {
    expect(() => openStore(text)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  },
);

test.each(['s3://bucket/a', 'swift:container'])('%s is refused with what this release can do', (text) => {
  expect(() => openStore(text)).toThrow(/keeps vaults in directories/);
});

test('a password in a URL is not shown', () => {
  expect(() => openStore('http://user:hunter2@host/a')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
  );
});

test('opening and reading make nothing, the first create makes the directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-store-'));
  const store = openStore(join(folder, 'new/vault'));
  await expect(store.get('vault.json')).rejects.toMatchObject({ code: 'object-missing' });
  expect(await listAll(store, '')).toEqual([]);
  await store.remove(['vault.json']);
  expect(await readdir(folder)).toEqual([]);
  await store.create('vault.json', [Buffer.from('{}')]);
  expect(await readdir(join(folder, 'new/vault'))).toContain('vault.json');
  await rm(folder, { recursive: true });
});

import { expect, test } from 'vitest';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { listAll } from '../../../conformance/object-store.ts';

const BODY = [Buffer.alloc(7), Buffer.alloc(3)];

test('requests and bytes are counted by verb and top folder', async () => {
  const store = openCountedStore(openMemoryStore());
  await store.create('vault.json', BODY);
  await store.create('packs/aa/x', BODY);
  await store.create('packs/bb/x', BODY);
  await store.create('packs/bb/x', BODY);
  await store.get('packs/aa/x', { start: 1, end: 5 });
  await store.get('packs/aa/x');
  await store.remove(['packs/aa/x', 'packs/bb/x']);
  expect(store.counts()).toEqual([
    { verb: 'create', folder: 'packs', requests: 3, bytes: 30 },
    { verb: 'create', folder: 'vault.json', requests: 1, bytes: 10 },
    { verb: 'get', folder: 'packs', requests: 2, bytes: 14 },
    { verb: 'remove', folder: 'packs', requests: 1, bytes: 0 },
  ]);
  expect([store.requests(), store.requests('create'), store.requests('create', 'packs')]).toEqual([7, 4, 3]);
  expect(store.requests('get', 'journal')).toBe(0);
});

test('a request that fails is a request', async () => {
  const store = openCountedStore(openMemoryStore());
  await expect(store.get('packs/aa/x')).rejects.toMatchObject({ code: 'object-missing' });
  expect(store.counts()).toEqual([{ verb: 'get', folder: 'packs', requests: 1, bytes: 0 }]);
});

test('a listing costs a request for each 1,000 keys, and one when it finds nothing', async () => {
  const store = openCountedStore(openMemoryStore());
  for (let at = 0; at < 2001; at++) await store.create(`pages/${at}`, []);
  store.reset();
  await listAll(store, 'pages/');
  expect(store.requests('list', 'pages')).toBe(3);
  await listAll(store, 'packs/');
  expect(store.requests('list', 'packs')).toBe(1);
});

test('only the pages that were read of a listing count', async () => {
  const store = openCountedStore(openMemoryStore());
  for (let at = 0; at < 1500; at++) await store.create(`pages/${at}`, []);
  for await (const _ of store.list('pages/')) break;
  expect(store.requests('list')).toBe(1);
});

test('a removal costs a request for each 1,000 keys', async () => {
  const store = openCountedStore(openMemoryStore());
  await store.remove(Array.from({ length: 2500 }, (_, at) => `samples/${at}`));
  await store.remove([]);
  expect(store.requests('remove')).toBe(3);
});

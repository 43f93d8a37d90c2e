import { beforeEach, expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { listAll } from './conformance/object-store.ts';
import { Crash, type Fault, openFaultyStore } from './faulty-store.ts';

const BODY = [Buffer.from('body')];
const STORE_FAILED = { code: 'store-failed' };
let inner: ObjectStore;
beforeEach(() => {
  inner = openMemoryStore();
});

const faulty = (fault: Fault) => openFaultyStore(inner, [fault]);
const keysOf = async (store: ObjectStore) => (await listAll(store, '')).map(({ key }) => key);

test('only the chosen call fails, and it has no effect', async () => {
  const store = faulty({ on: 'create', call: 2, does: 'fail' });
  await store.create('a', BODY);
  await expect(store.create('b', BODY)).rejects.toMatchObject(STORE_FAILED);
  await store.create('c', BODY);
  expect(await keysOf(inner)).toEqual(['a', 'c']);
});

test('a fault may be bound to a folder', async () => {
  const store = faulty({ on: 'get', call: 1, does: 'fail', under: 'packs/' });
  await store.create('pages/a', BODY);
  await store.create('packs/a', BODY);
  await store.get('pages/a');
  await expect(store.get('packs/a')).rejects.toMatchObject(STORE_FAILED);
});

test('a lost answer has its effect', async () => {
  const store = faulty({ on: 'create', call: 1, does: 'lose-answer' });
  await expect(store.create('a', BODY)).rejects.toMatchObject(STORE_FAILED);
  expect(await store.create('a', BODY)).toBe('exists');
});

test('a repeated create finds its own object', async () => {
  const store = faulty({ on: 'create', call: 1, does: 'repeat' });
  expect(await store.create('a', BODY)).toBe('exists');
});

test('a delayed call is overtaken by a later one', async () => {
  const store = faulty({ on: 'create', call: 1, does: 'delay', milliseconds: 5 });
  const outcomes = await Promise.all([store.create('a', BODY), store.create('a', BODY)]);
  expect(outcomes).toEqual(['exists', 'created']);
});

test('a full disk stays full for creates until space is freed', async () => {
  const store = faulty({ on: 'create', call: 2, does: 'disk-full' });
  await store.create('a', BODY);
  await expect(store.create('b', BODY)).rejects.toThrow('ENOSPC');
  await expect(store.create('c', BODY)).rejects.toThrow('ENOSPC');
  await store.remove(['a']);
  store.freeSpace();
  await store.create('d', BODY);
  expect(await keysOf(store)).toEqual(['d']);
});

test.each([
  ['crash-before', []],
  ['crash-after', ['b']],
] as const)('%s of a create leaves the right objects and a dead process', async (does, left) => {
  const store = faulty({ on: 'write', call: 1, does });
  await expect(store.create('b', BODY)).rejects.toThrow(Crash);
  expect(await keysOf(inner)).toEqual(left);
  expect(store.crashed()).toBe(true);
  await expect(store.get('b')).rejects.toThrow(Crash);
  await expect(keysOf(store)).rejects.toThrow(Crash);
});

test.each([
  ['crash-before', ['a', 'b', 'c', 'd']],
  ['crash-midway', ['c', 'd']],
  ['crash-after', []],
] as const)('%s of a remove leaves the right objects', async (does, left) => {
  const store = faulty({ on: 'write', call: 5, does });
  for (const key of ['a', 'b', 'c', 'd']) await store.create(key, BODY);
  await expect(store.remove(['a', 'b', 'c', 'd'])).rejects.toThrow(Crash);
  expect(await keysOf(inner)).toEqual(left);
});

test('calls are counted by verb', async () => {
  const store = openFaultyStore(inner, []);
  await store.create('a', BODY);
  await store.get('a');
  await keysOf(store);
  await store.remove(['a']);
  expect(['create', 'get', 'list', 'remove', 'write'].map((verb) => store.calls(verb as 'write'))).toEqual([
    1, 1, 1, 1, 2,
  ]);
});

test('a failing listing fails before its first key', async () => {
  const store = faulty({ on: 'list', call: 1, does: 'fail' });
  await store.create('a', BODY);
  await expect(keysOf(store)).rejects.toMatchObject(STORE_FAILED);
  expect(await keysOf(store)).toEqual(['a']);
});

import { beforeEach, expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { newSharedStaging, roomForPart, type SharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';

const A = 'staging/20260101-000000-00000a/0000/00000000';
const B = 'staging/20260101-000000-00000a/0000/00000001';
const C = 'staging/20260101-000000-00000a/0000/summary';
let behind: ObjectStore;
let store: ObjectStore;
let elsewhere: ObjectStore;
let staging: SharedStaging;

beforeEach(() => {
  staging = newSharedStaging(2, 20, 80);
  behind = openMemoryStore();
  store = withSharedStaging(behind, staging);
  // As a worker thread sees it: the same memory through another object.
  elsewhere = withSharedStaging(behind, staging);
});

test('what one thread stages the other finds, whole and in ranges, and the store behind never sees', async () => {
  expect(await store.create(A, [Buffer.from('ab'), Buffer.from('cdef')])).toBe('created');
  expect((await elsewhere.get(A)).toString()).toBe('abcdef');
  expect((await elsewhere.get(A, { start: 2, end: 4 })).toString()).toBe('cd');
  expect((await elsewhere.get(A, { start: 4, end: 99 })).toString()).toBe('ef');
  await expect(behind.get(A)).rejects.toMatchObject({ code: 'object-missing' });
});

test('everything else goes to the store behind', async () => {
  await store.create('packs/aa/x', [Buffer.from('1')]);
  expect((await behind.get('packs/aa/x')).toString()).toBe('1');
  expect((await Array.fromAsync(elsewhere.list('packs/'))).map(({ key }) => key)).toEqual(['packs/aa/x']);
  await elsewhere.remove(['packs/aa/x']);
  await expect(behind.get('packs/aa/x')).rejects.toMatchObject({ code: 'object-missing' });
});

test('a staged key is taken once, and its slot is free again when it has been removed', async () => {
  await store.create(A, [Buffer.from('first')]);
  expect(await store.create(A, [Buffer.from('second')])).toBe('exists');
  expect((await store.get(A)).toString()).toBe('first');
  await elsewhere.remove([A, 'staging/20260101-000000-00000a/0000/00000009']);
  await expect(store.get(A)).rejects.toMatchObject({ code: 'object-missing' });
  expect(await store.create(A, [Buffer.from('third')])).toBe('created');
});

test('it lists what is staged, in order, after a key', async () => {
  await store.create(B, [Buffer.from('b')]);
  await store.create(A, [Buffer.from('aa')]);
  const listed = await Array.fromAsync(elsewhere.list('staging/20260101-000000-00000a/'));
  expect(listed).toEqual([
    { key: A, size: 2 },
    { key: B, size: 1 },
  ]);
  expect(await Array.fromAsync(elsewhere.list('staging/', { after: A }))).toEqual([{ key: B, size: 1 }]);
});

test('no free slot and too large an object are refused, and nothing is overwritten', async () => {
  await store.create(A, [Buffer.from('a')]);
  await expect(store.create(B, [Buffer.alloc(101)])).rejects.toMatchObject({ code: 'store-failed' });
  await store.create(B, [Buffer.alloc(100, 7)]);
  await expect(store.create(C, [Buffer.from('c')])).rejects.toMatchObject({ code: 'store-failed' });
  expect((await elsewhere.get(A)).toString()).toBe('a');
});

test('a part whose data was put into its slot is found behind what comes before it', async () => {
  const room = roomForPart(staging);
  expect(room.length).toBe(80);
  room.set(Buffer.from('data'));
  expect(await store.create(A, [Buffer.from('he'), Buffer.from('ad '), room.subarray(0, 4)])).toBe('created');
  expect((await elsewhere.get(A)).toString()).toBe('head data');
  expect((await elsewhere.get(A, { start: 3, end: 7 })).toString()).toBe('d da');
  const next = roomForPart(staging);
  expect(next.buffer).not.toBe(room.buffer);
  await store.create(B, [next.subarray(0, 1)]);
  expect(() => roomForPart(staging)).toThrow(/no room/);
  await elsewhere.remove([A]);
  expect(roomForPart(staging).buffer).toBe(room.buffer);
});

test('what has no data takes a small slot, and leaves those for data to parts', async () => {
  const mixed = newSharedStaging(1, 20, 100_000, 1);
  const small = withSharedStaging(behind, mixed);
  await small.create(A, [Buffer.from('header')]);
  const room = roomForPart(mixed);
  expect(room.length).toBe(100_000);
  await small.create(B, [Buffer.from('head'), room.fill(7)]);
  expect((await small.get(A)).toString()).toBe('header');
  expect((await small.get(B)).length).toBe(100_004);
  expect(() => roomForPart(mixed)).toThrow(/no room/);
});

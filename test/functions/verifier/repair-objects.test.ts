import { expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, contentName, Folder } from '#vault/store/object-names.ts';
import { repairObjects } from '../../../functions/verifier/repair-objects.ts';

const body = Buffer.from('a pack');
const key = contentKey(Folder.packs, contentName([body]));

async function storeWith(bytes: Buffer | undefined) {
  const store = openMemoryStore();
  if (bytes !== undefined) await store.create(key, [bytes]);
  return store;
}

test.each([
  ['missing', undefined],
  ['damaged', Buffer.from('rubbish')],
])('what is %s is put back', async (_, before) => {
  const store = await storeWith(before);
  expect(await repairObjects(store, await storeWith(body), [key], false)).toEqual([{ key, outcome: 'repaired' }]);
  expect(await store.get(key)).toEqual(body);
});

test.each([
  ['does not have it', undefined],
  ['has other bytes under its name', Buffer.from('a pick')],
])('a replica that %s makes nothing worse', async (_, theirs) => {
  const store = await storeWith(Buffer.from('rubbish'));
  expect(await repairObjects(store, await storeWith(theirs), [key], false)).toEqual([{ key, outcome: 'left' }]);
  expect((await store.get(key)).toString()).toBe('rubbish');
});

test('a rehearsal changes nothing', async () => {
  const store = await storeWith(undefined);
  expect(await repairObjects(store, await storeWith(body), [key], true)).toEqual([{ key, outcome: 'repairable' }]);
  await expect(store.get(key)).rejects.toMatchObject({ code: 'object-missing' });
});

test('what is whole again by the time of the repair is not touched', async () => {
  const store = await storeWith(body);
  const untouchable = { ...store, remove: () => Promise.reject(new Error('It was removed.')) };
  expect(await repairObjects(untouchable, await storeWith(body), [key], false)).toEqual([{ key, outcome: 'repaired' }]);
});

test('where the store keeps the damaged bytes though it was told to remove them, nothing is called repaired', async () => {
  const stubborn = { ...(await storeWith(Buffer.from('rubbish'))), remove: async () => [] };
  expect(await repairObjects(stubborn, await storeWith(body), [key], false)).toEqual([{ key, outcome: 'left' }]);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createObjectJournal } from '#vault/journal/object-journal.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore, StoredObject } from '#vault/store/object-store.ts';
import { journalConformance } from '../../../conformance/journal.ts';
import { readAll, storeOf } from './histories-on-stores.ts';

journalConformance('objects in memory', () => {
  const store = openMemoryStore();
  return { open: () => createObjectJournal(store), lose: (position) => store.remove([journalKey(position)]) };
});

journalConformance('objects in files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ekko-journal-'));
  return {
    open: () => createObjectJournal(openFileStore(directory)),
    lose: (position) => openFileStore(directory).remove([journalKey(position)]),
    close: () => rm(directory, { recursive: true }),
  };
});

const FORTY = Array.from({ length: 40 }, (_, i) => Buffer.from(`entry ${i + 1}`));
const ALL_FORTY = FORTY.map((bytes, i) => [i + 1, bytes.toString()]);

/** The store with another listing of its journal. */
async function listingAs(change: (listed: StoredObject[]) => StoredObject[]): Promise<ObjectStore> {
  const store = await storeOf(FORTY);
  return {
    ...store,
    async *list(prefix, options) {
      const listed: StoredObject[] = [];
      for await (const object of store.list(prefix, options)) listed.push(object);
      yield* change(listed);
    },
  };
}

test.each<[string, (listed: StoredObject[]) => StoredObject[]]>([
  ['lists nothing yet', () => []],
  ['lags behind the last entries', (listed) => listed.slice(0, 21)],
  ['leaves out entries in the middle', (listed) => listed.filter((_, i) => i % 3 === 0)],
  ['is out of order', (listed) => listed.toReversed()],
  ['repeats itself', (listed) => [...listed, ...listed]],
  [
    'holds objects that are no entries',
    (listed) => [{ key: 'journal/.lock', size: 1 }, ...listed, { key: 'journal/x', size: 0 }],
  ],
])('a journal is read whole when its listing %s', async (_, change) => {
  expect(await readAll(createObjectJournal(await listingAs(change)))).toEqual(ALL_FORTY);
});

test('a gap is found anywhere between the first and the last entry', async () => {
  for (let missing = 1; missing < FORTY.length; missing++) {
    const store = await storeOf(FORTY);
    await store.remove([journalKey(missing)]);
    const reading = readAll(createObjectJournal(store));
    await expect(reading).rejects.toMatchObject({
      code: 'journal-broken',
      message: expect.stringContaining(`${journalKey(missing)} is missing`),
    });
  }
});

test('a gap is found in a listing that is out of order', async () => {
  const store = await listingAs((listed) => listed.toReversed());
  await store.remove([journalKey(40), journalKey(39)]);
  await store.create(journalKey(40), [Buffer.from('entry 40')]);
  await expect(readAll(createObjectJournal(store), 30)).rejects.toMatchObject({
    message: expect.stringContaining(`${journalKey(39)} is missing, but position 40 is there`),
  });
});

test('an object at an absurd position is a gap, not a long wait', async () => {
  const store = await storeOf(FORTY);
  await store.create('journal/99999999999999999999', [Buffer.from('x')]);
  await expect(readAll(createObjectJournal(store))).rejects.toMatchObject({ code: 'journal-broken' });
});

test('a failing store is not taken for the end of the journal', async () => {
  const store = await storeOf(FORTY);
  const failing: ObjectStore = { ...store, get: () => Promise.reject(new Error('503')) };
  await expect(readAll(createObjectJournal(failing))).rejects.toThrow('503');
});

import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { writePage } from '#vault/records.ts';
import { type MappedRun, openDiskMap } from '#vault/restore/span-extents.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE } from '#vault/words.ts';

const MOST_AT_ONCE = 8;

/** A disk of `count` pages of which each third is zero, and what is asked of its store. */
async function farDisk(count: number) {
  const store = openMemoryStore();
  const keyring = keyringOf([deriveEpochKeys(randomBytes(32), 'v', 1)]);
  const pages: (string | undefined)[] = [];
  for (let i = 0; i < count; i++) {
    const extent = { start: 5, count: 1, pack: 'ab'.repeat(48), first: i };
    pages.push(i % 3 === 2 ? undefined : await writePage({ store, keyring }, [extent]));
  }
  const asked = { keys: [] as string[], atOnce: 0, most: 0 };
  const get: typeof store.get = async (key, range) => {
    asked.keys.push(key);
    asked.most = Math.max(asked.most, ++asked.atOnce);
    await setImmediate();
    asked.atOnce--;
    return store.get(key, range);
  };
  const manifest = { diskSize: count * SEGMENTS_PER_PAGE * SEGMENT_SIZE, pages };
  const map = openDiskMap({ store: { ...store, get }, keyring });
  return { store, manifest, asked, map, keys: pages.flatMap((name) => name ?? []).map(keyOf) };
}

const keyOf = (name: string) => contentKey(Folder.pages, name);

const packedIn = (runs: readonly MappedRun[]) =>
  runs.flatMap((run) => (run.kind === 'packed' ? [[run.start, run.first]] : []));

test('pages are read ahead, a bounded number at a time, each once and in order, however many are zero', async () => {
  const { map, manifest, asked, keys } = await farDisk(60);
  const runs = await Array.fromAsync(map(manifest, { first: 0, count: 60 * SEGMENTS_PER_PAGE }));
  expect(asked.most).toBe(MOST_AT_ONCE);
  expect(asked.keys).toEqual(keys);
  const data = Array.from({ length: 60 }, (_, i) => [i * SEGMENTS_PER_PAGE + 5, i]).filter((_, i) => i % 3 !== 2);
  expect(packedIn(runs)).toEqual(data);
  expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(60 * SEGMENTS_PER_PAGE);
});

test('no page is read beyond the run', async () => {
  const { map, manifest, asked, keys } = await farDisk(60);
  const run = { first: SEGMENTS_PER_PAGE - 1, count: 10 };
  expect(packedIn(await Array.fromAsync(map(manifest, run)))).toEqual([[SEGMENTS_PER_PAGE + 5, 1]]);
  await Array.fromAsync(map(manifest, { first: 3 * SEGMENTS_PER_PAGE, count: 0 }));
  expect(asked.keys).toEqual(keys.slice(0, 2));
});

test('a page that was read ahead in vain is lost in its turn, and no other', async () => {
  const { store, map, manifest, keys } = await farDisk(9);
  await store.remove(keys.slice(2, 4));
  const runs = await Array.fromAsync(map(manifest, { first: 0, count: 9 * SEGMENTS_PER_PAGE }));
  expect(runs.flatMap((run) => (run.kind === 'lost' ? [[run.start / SEGMENTS_PER_PAGE, run.object]] : []))).toEqual([
    [3, keys[2]],
    [4, keys[3]],
  ]);
  expect(packedIn(runs)).toHaveLength(4);
});

test('who stops early is not bothered by what was read ahead', async () => {
  const { store, map, manifest, keys } = await farDisk(9);
  await store.remove(keys);
  for await (const run of map(manifest, { first: 0, count: 9 * SEGMENTS_PER_PAGE })) {
    expect(run.kind).toBe('lost');
    break;
  }
  for (let i = 0; i < 10; i++) await setImmediate();
});

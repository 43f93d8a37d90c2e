import { beforeEach, expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readManifest, readPage, writeMove } from '#vault/records.ts';
import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { newestGood } from '../../../functions/retention/newest-good.ts';
import { newTestVault, type TestVault } from '../../vault-builder.ts';
import { NOON, pointAt } from './histories.ts';

const SIZE = 8 * SEGMENT_SIZE;
const NOTHING: ReadonlyMap<string, string> = new Map();
let store: CountedStore;
let vault: TestVault;
let points: CommittedPoint[];

/** Segment 0 is the same in all points, segment 1 is new in each. */
async function point(n: number): Promise<CommittedPoint> {
  const segments = [1, 100 + n].map((content, start) => ({ start, bytes: Buffer.alloc(SEGMENT_SIZE, `${content} `) }));
  const layout = { segmentsPerFrame: () => 1, segmentsPerPack: () => 1, dedupe: true };
  const manifest = await vault.writeDisk({ size: SIZE, segments }, layout);
  const { name } = await vault.writePoint(new Map([['vda', { manifest, size: SIZE }]]));
  return pointAt(n, NOON + n, { point: name, disks: [{ name: 'vda', size: SIZE, manifest }] });
}

async function namesOf({ point, disks }: CommittedPoint) {
  const manifest = disks[0]?.manifest ?? '';
  const page = (await readManifest(vault, manifest)).pages[0] ?? '';
  const [common = '', own = ''] = (await readPage(vault, page)).map(({ pack }) => pack ?? '');
  return { point, manifest, page, common, own };
}

const good = (damaged: readonly string[], moved = NOTHING) =>
  newestGood(vault, { damaged: new Set(damaged), moved }, points);

beforeEach(async () => {
  store = openCountedStore(openMemoryStore());
  vault = newTestVault(store);
  points = [await point(0), await point(1), await point(2)];
});

test('is the newest one where nothing is damaged, and nothing is read for that', async () => {
  const before = store.requests('get');
  expect(await good([])).toBe(points[2]?.run);
  expect(store.requests('get')).toBe(before);
});

test('is the newest one where what is damaged is needed by older ones, or by none', async () => {
  const { own } = await namesOf(points[0] as CommittedPoint);
  expect(await good([packName(own), 'ab'.repeat(32)])).toBe(points[2]?.run);
});

test.each(['point', 'manifest', 'page', 'own'] as const)('is the one before where the %s is damaged', async (what) => {
  const names = await namesOf(points[2] as CommittedPoint);
  expect(await good([names[what].slice(0, 64)])).toBe(points[1]?.run);
});

test('does not exist where all need what is damaged', async () => {
  const { common } = await namesOf(points[0] as CommittedPoint);
  expect(await good([packName(common)])).toBeUndefined();
});

test('is the one before where a record cannot be read', async () => {
  const { page } = await namesOf(points[2] as CommittedPoint);
  await store.remove([contentKey(Folder.pages, page)]);
  expect(await good(['ab'.repeat(32)])).toBe(points[1]?.run);
});

test('is judged by where segments were moved to, and by the move itself', async () => {
  const [newest, before] = await Promise.all([points[2], points[1]].map((each) => namesOf(each as CommittedPoint)));
  const target = 'cd'.repeat(48);
  const packs = [{ pack: newest?.own ?? '', runs: [{ first: 0, count: 1, target, targetFirst: 0 }] }];
  const move = await writeMove(vault, { packs });
  const moved = new Map([[packName(newest?.own ?? ''), move]]);
  expect(await good([packName(newest?.own ?? '')], moved)).toBe(points[2]?.run);
  expect(await good([packName(target)], moved)).toBe(points[1]?.run);
  expect(await good([move], moved)).toBe(points[1]?.run);
  expect(await good([move, packName(before?.own ?? '')], moved)).toBe(points[0]?.run);
});

test('is not guessed where the store fails', async () => {
  const failing = { ...vault, store: { ...store, get: () => Promise.reject(new Error('unplugged')) } };
  const state = { damaged: new Set(['ab'.repeat(32)]), moved: NOTHING };
  await expect(newestGood(failing, state, points)).rejects.toThrow('unplugged');
});

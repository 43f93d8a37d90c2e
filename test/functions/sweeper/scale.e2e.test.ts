import { expect, test } from 'vitest';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { writeHistory } from '../../synthetic-history.ts';
import { newLab } from './lab.ts';
import { strays } from './needed-objects.ts';

const POINTS = 40;

test('a sweep costs what has changed and the lists of pages, whatever the number of segments', async () => {
  const lab = await newLab();
  const runs = await writeHistory(await lab.open(), { segments: 65_000, points: POINTS, changed: 2_000 });
  const store = openCountedStore(lab.memory);
  const sweep = async () => {
    const vault = await lab.openOver(store);
    store.reset();
    const report = await lab.sweep({}, vault);
    return { report, pages: store.requests('get', 'pages'), all: store.requests() };
  };
  // 4 pages a point, all of them changed each time.
  const first = await sweep();
  expect(first.pages).toBe(4 * POINTS);
  const idle = await sweep();
  expect(idle.pages).toBe(0);
  expect(idle.all).toBeLessThan(POINTS + 30);
  await lab.expire(...runs.slice(5, 15));
  const removing = await sweep();
  expect(removing.pages).toBe(0);
  expect(removing.report).toMatchObject({
    points: { length: 10 },
    removed: { pages: { objects: 40 }, manifests: { objects: 10 } },
  });
  // A request for each dead pack's index; everything goes in one call a thousand.
  expect(removing.all).toBeLessThan(POINTS + 40 + removing.report.removed.packs.objects);
  expect(await strays(await lab.open())).toEqual([]);
});

test('all points of a vault at once go in few entries and few calls', async () => {
  const lab = await newLab();
  const runs = await writeHistory(await lab.open(), { segments: 40_000, points: 30, changed: 30_000 });
  await lab.expire(...runs);
  const store = openCountedStore(lab.memory);
  const vault = await lab.openOver(store);
  const { position } = vault.journal.state();
  store.reset();
  const { removed } = await lab.sweep({}, vault);
  expect(removed.packs.objects).toBeGreaterThan(900);
  expect(vault.journal.state().position - position).toBe(1);
  expect(store.requests('remove')).toBeLessThan(6);
  expect(await strays(await lab.open())).toEqual([]);
});

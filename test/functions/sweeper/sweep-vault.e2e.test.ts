import { expect, test } from 'vitest';
import { abandonRun, startRun } from '#vault/runs.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { flipped, keysIn, replaceObject } from '../../damage.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { restored } from '../../restored.ts';
import { expiredLab, fresh, held, type Lab, NOW, newLab, undeleted } from './lab.ts';
import { checkAllEvenExpired, storedObjects, strays } from './needed-objects.ts';

const RUN = { group: 'g', disks: ['disk'], host: 'h', process: '1@b' };

test('a held point stays until the hold is released', async () => {
  const { lab, expired } = await expiredLab();
  await lab.append(held(expired));
  expect((await lab.sweep()).delayed).toMatchObject([{ run: expired, delay: 'held' }]);
  expect(await checkAllEvenExpired(lab)).toBe(2);
  await lab.append({ type: 'hold-released', hold: `hold ${expired}`, at: NOW.toISOString() });
  expect((await lab.sweep()).points).toHaveLength(1);
});

test('a point that expired while a run was open, which may count from it, stays until that run has ended', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24));
  await lab.backUp(fresh(2, 12));
  const vault = await lab.open();
  const run = await startRun(vault, RUN, new Date(NOW.getTime() - 1000));
  await lab.expire(id);
  expect((await lab.sweep()).delayed).toMatchObject([{ run: id, delay: 'run' }]);
  await abandonRun(vault, run, 'test', NOW);
  expect((await lab.sweep()).points).toMatchObject([{ run: id }]);
});

test('a commit between the look and the entry saves what it needs', async () => {
  const { lab } = await expiredLab();
  // The content of the expired point again: deduped against packs that are about to be condemned.
  let point: string | undefined;
  const hook = onceBefore('create', Folder.journal, async () => {
    const { id } = await lab.backUp(fresh(1, 24));
    point = id;
  });
  await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(point).toBeDefined();
  expect(await checkAllEvenExpired(lab)).toBe(2);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
});

test('a commit between two entries of one sweep saves what has not been condemned yet, and is refused for what has', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 2);
  const { id: kept } = await lab.backUp(fresh(2, 24), 2);
  await lab.expire(id);
  // More names than one entry has.
  for (let i = 0; i < 15_100; i++) await lab.memory.create(contentKey(Folder.points, hexOf(i)), [Buffer.from('x')]);
  let entries = 0;
  const hook = (verb: string, key: string) => {
    if (verb !== 'create' || !key.startsWith(Folder.journal) || ++entries !== 2) return undefined;
    return lab.backUp(fresh(1, 24), 2).catch((error: unknown) => error);
  };
  await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(entries).toBeGreaterThan(2);
  expect(await checkAllEvenExpired(lab)).toBe(2);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
  expect((await lab.open()).journal.state().points.has(kept)).toBe(true);
});

test('a point that was brought back at the first entry, and deleted again before the second, is whole', async () => {
  const lab = await newLab();
  const { id: other } = await lab.backUp(fresh(3, 24), 8);
  // Needs a little of each pack of the other.
  await lab.backUp(
    fresh(9, 24).map((content, i) => (i % 4 === 0 ? undefined : content)),
    8,
  );
  const { id } = await lab.backUp(fresh(1, 24), 8);
  await lab.expire(id, other);
  for (let i = 0; i < 15_100; i++) await lab.memory.create(contentKey(Folder.points, hexOf(i)), [Buffer.from('x')]);
  let creates = 0;
  let moved = 0;
  const hook = async (verb: string, key: string) => {
    if (verb !== 'create' || !key.startsWith(Folder.journal)) return;
    creates++;
    if (creates === 1) await lab.append(undeleted(id));
    if (creates !== 3) return;
    await lab.expire(id);
    // What lies where is counted anew after a move.
    moved = (await lab.move()).moved.packs;
  };
  const report = await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(moved).toBeGreaterThan(0);
  expect(report.points.map(({ run }) => run)).toEqual([other]);
  expect([...(await lab.open()).journal.state().expired.keys()]).toEqual([id]);
  expect(await checkAllEvenExpired(lab)).toBe(2);
  await lab.append(undeleted(id));
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

function hexOf(number: number): string {
  return number.toString(16).padStart(8, '0').padEnd(64, '7');
}

test('names that need several entries are condemned in the order in which one names the next', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 2);
  await lab.backUp(fresh(2, 24), 2);
  await lab.expire(id);
  for (let i = 0; i < 14_999; i++) await lab.memory.create(contentKey(Folder.points, hexOf(i)), [Buffer.from('x')]);
  const before = (await lab.open()).journal.state().position;
  await lab.sweep();
  const vault = await lab.open();
  const entries: { type: string; [kind: string]: unknown }[] = [];
  const { readEntries } = await import('#vault/journal/read-entries.ts');
  for await (const { entry } of readEntries(vault, before + 1, 1_000)) entries.push(entry as never);
  const counts = entries.map((entry) =>
    ['points', 'manifests', 'pages', 'moves', 'packs'].map((kind) => (entry[kind] as string[]).length),
  );
  expect(counts.map((row) => row.reduce((sum, count) => sum + count, 0)).every((sum) => sum <= 15_000)).toBe(true);
  expect(counts.length).toBeGreaterThan(1);
  // Once a later kind has begun, no earlier one comes again.
  const flat = counts.flatMap((row) => row.flatMap((count, kind) => (count > 0 ? [kind] : [])));
  expect(flat).toEqual(flat.toSorted((a, b) => a - b));
});

test('what an abandoned run left is removed: packs, records, parts, receipts and samples', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 24));
  for (const call of [9, 14, 20]) {
    for (let i = 0; i < 24; i++) lab.guest.write(i, call * 1000 + i);
    await lab.backup({ faults: [{ on: 'create', call, does: 'crash-after' }] }).catch(() => undefined);
  }
  const vault = await lab.open();
  for (const { run } of vault.journal.state().openRuns.values()) await abandonRun(vault, run, 'test', NOW);
  expect((await strays(vault)).length).toBeGreaterThan(3);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('what an open run has made is left alone, also when sweeps come again and again, until it has ended', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 24));
  for (let i = 0; i < 24; i++) lab.guest.write(i, 5000 + i);
  await lab.backup({ faults: [{ on: 'create', call: 18, does: 'crash-after' }] }).catch(() => undefined);
  const vault = await lab.open();
  const [run] = vault.journal.state().openRuns.keys();
  const before = await storedObjects(vault);
  for (let i = 0; i < 3; i++) {
    const { waiting } = await lab.sweep();
    expect(waiting.objects).toBeGreaterThan(0);
    expect(waiting.runs).toEqual([run]);
  }
  expect(await storedObjects(vault)).toEqual(before);
  expect(
    (await keysIn(lab.memory, Folder.staging)).length + (await keysIn(lab.memory, Folder.receipts)).length,
  ).toBeGreaterThan(0);
  await abandonRun(vault, run ?? '', 'test', NOW);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
});

test('runs that overlap for ever do not keep dead objects for ever', async () => {
  const { lab } = await expiredLab();
  const vault = await lab.open();
  const runs: string[] = [];
  const next = async (i: number) => {
    runs.push(await startRun(vault, RUN, new Date(NOW.getTime() + 1000 + i)));
    if (runs.length > 2) await abandonRun(vault, runs.shift() ?? '', 'test', NOW);
  };
  await next(0);
  const sweeps: number[] = [];
  for (let i = 1; i <= 6; i++) {
    await next(i);
    sweeps.push((await lab.sweep()).removed.packs.objects);
    expect((await lab.open()).journal.state().openRuns.size).toBeGreaterThan(0);
  }
  expect(sweeps.reduce((sum, packs) => sum + packs, 0)).toBeGreaterThan(0);
  expect(await strays(await lab.open())).toEqual([]);
});

test('only the newest state snapshots stay', async () => {
  const lab = await newLab();
  const vault = await lab.open();
  for (let i = 0; i < 6 * 64; i++) {
    const run = await startRun(vault, RUN, NOW);
    if (i % 2 === 0) await abandonRun(vault, run, 'test', NOW);
  }
  const before = await keysIn(lab.memory, Folder.states);
  const { removed } = await lab.sweep();
  expect(removed.states.objects).toBe(before.length - 4);
  expect(await keysIn(lab.memory, Folder.states)).toEqual(before.slice(-4));
  expect((await lab.open()).journal.state().position).toBeGreaterThan(6 * 64);
});

test("a damaged record that only given-up points name stands in nobody's way", async () => {
  const { lab, expired } = await expiredLab();
  const vault = await lab.open();
  const manifest = vault.journal.state().expired.get(expired)?.disks[0]?.manifest ?? '';
  const key = contentKey(Folder.manifests, manifest);
  await replaceObject(lab.memory, key, flipped(await lab.memory.get(key), 90));
  const report = await lab.sweep();
  expect(report.problems).toEqual([]);
  expect(await strays(await lab.open())).toEqual([]);
});

test('a record that vanishes because another sweep is ahead is no damage', async () => {
  const { lab } = await expiredLab();
  // The point is still in its grace for the one sweep, and given up by the other while that one looks.
  const hook = onceBefore('get', Folder.pages, () => lab.sweep());
  const report = await lab.sweep({ graceHours: 168 }, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(report.problems).toEqual([]);
  expect(await strays(await lab.open())).toEqual([]);
});

test('two sweeps at once do the work of one', async () => {
  const { lab } = await expiredLab();
  await Promise.all([lab.sweep(), lab.sweep(), lab.sweep()]);
  expect(await strays(await lab.open())).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('a sweep after which nothing has changed reads no page again, and asks a constant number of things', async () => {
  const lab = await newLab(64);
  for (let i = 0; i < 6; i++) await lab.backUp(fresh(i, 40));
  const requests = async () => {
    const store = openCountedStore(lab.memory);
    const vault = await lab.openOver(store);
    store.reset();
    await lab.sweep({}, vault);
    return { pages: store.requests('get', 'pages'), all: store.requests() };
  };
  expect((await requests()).pages).toBe(6);
  expect((await requests()).pages).toBe(0);
  await lab.backUp(fresh(9, 3));
  expect((await requests()).pages).toBe(1);
  expect((await requests()).pages).toBe(0);
});

test('notes that are spoilt cost requests only', async () => {
  const { lab } = await expiredLab();
  await lab.sweep();
  await lab.backUp(fresh(3, 5));
  await lab.sweep();
  const notes = await keysIn(lab.memory, Folder.sweeps);
  expect(notes).toHaveLength(2);
  for (const key of notes) await replaceObject(lab.memory, key, flipped(await lab.memory.get(key), 95));
  await lab.expire([...(await lab.open()).journal.state().points.keys()][0] ?? '');
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('a run that starts before a pack is condemned and after its samples are gone cannot be refused because of it', async () => {
  const { lab } = await expiredLab();
  const hook = onceBefore('create', Folder.journal, () => lab.backUp(fresh(1, 24)));
  await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  const vault = await lab.open();
  const newest = [...vault.journal.state().points.keys()].at(-1) ?? '';
  expect(lab.guest.moments.get(newest)?.equals(await restored(vault, newest))).toBe(true);
});

test('a run that came upon a dead pack after it was first seen, and before its samples went, commits all the same', async () => {
  const { lab } = await expiredLab();
  const vault = await lab.open();
  const first = await startRun(vault, RUN, new Date(NOW.getTime() + 1000));
  expect((await lab.sweep()).waiting.objects).toBeGreaterThan(0);
  await abandonRun(vault, first, 'test', NOW);
  let swept: Awaited<ReturnType<Lab['sweep']>> | undefined;
  // Its receipts are there, its commit begins.
  const hook = (verb: string, key: string) => {
    if (verb !== 'get' || !key.endsWith('/summary') || swept !== undefined) return undefined;
    return lab.sweep().then((report) => {
      swept = report;
    });
  };
  for (const [i, content] of fresh(1, 24).entries()) lab.guest.write(i, content);
  const point = await lab.backup({ partSegments: 24, over: (store) => openHookedStore(store, hook) });
  expect(swept?.removed.samples.objects).toBeGreaterThan(0);
  expect(point.disks[0]?.newBytes).toBeLessThan(24 * 65_536);
  await lab.sweep();
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
  expect((await strays(await lab.open())).filter((stray) => !stray.startsWith('sample'))).toEqual([]);
});

test('samples that tell of packs which are gone are found among all others, and only those', async () => {
  const { lab } = await expiredLab();
  await lab.sweep();
  const before = await keysIn(lab.memory, Folder.samples);
  const [good] = before;
  if (good === undefined) throw new Error('there are no samples');
  await lab.memory.create(`${Folder.samples}00/00${'1'.repeat(62)}`, [Buffer.from('9'.repeat(96))]);
  await lab.memory.create(`${Folder.samples}00/00${'2'.repeat(62)}`, [Buffer.from('no sample')]);
  expect((await lab.sweep()).removed.samples.objects).toBe(0);
  expect((await lab.sweep({ allSamples: true })).removed.samples.objects).toBe(2);
  expect(await keysIn(lab.memory, Folder.samples)).toEqual(before);
});

test('objects that are not named as ours are left where they are', async () => {
  const { lab } = await expiredLab();
  const strange = ['packs/readme', 'packs/ab/notes.txt', 'pages/zz/file'];
  for (const key of strange) await lab.memory.create(key, [Buffer.from('x')]);
  await lab.sweep();
  for (const key of strange) expect((await lab.memory.get(key)).toString()).toBe('x');
});

import { expect, test, vi } from 'vitest';
import { abandonRun, startRun } from '#vault/runs.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { contentKey, Folder, receiptKey, stagingKey } from '#vault/store/object-names.ts';
import { DAMAGES, flipped, keysIn, replaceObject, spoil } from '../../damage.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { restored } from '../../model/world.ts';
import { fresh, held, type Lab, NOW, newLab, undeleted } from './lab.ts';
import { checkAllEvenExpired, storedObjects, strays } from './needed-objects.ts';

// On a busy machine; each takes a fraction of a second.
vi.setConfig({ testTimeout: 30_000 });

const RUN = { group: 'g', disks: ['disk'], host: 'h', process: '1@b' };

/** Two points, of which the first has expired and alone needs half of its content. */
async function expiredLab(): Promise<{ lab: Lab; expired: string; kept: string }> {
  const lab = await newLab();
  const { id: expired } = await lab.backUp(fresh(1, 24));
  const { id: kept } = await lab.backUp(fresh(2, 12));
  await lab.expire(expired);
  return { lab, expired, kept };
}

test('what expired points alone needed is gone, what others need stays, and nothing is left over', async () => {
  const { lab, expired } = await expiredLab();
  const report = await lab.sweep();
  expect(report.points.map(({ run }) => run)).toEqual([expired]);
  expect(await strays(await lab.open())).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('a dry run tells exactly what goes, and changes nothing', async () => {
  const { lab } = await expiredLab();
  await lab.backup({ faults: [{ on: 'create', call: 9, does: 'crash-before' }] }).catch(() => undefined);
  for (const { run } of (await lab.open()).journal.state().openRuns.values())
    await abandonRun(await lab.open(), run, 'test', NOW);
  const before = await keysIn(lab.memory, '');
  const told = await lab.sweep({ dryRun: true });
  expect(await keysIn(lab.memory, '')).toEqual(before);
  const bytes = await sizesOf(lab);
  const done = await lab.sweep();
  const after = await sizesOf(lab);
  expect({ ...told, dryRun: false, seconds: 0 }).toEqual({
    ...done,
    seconds: 0,
    removed: { ...done.removed, samples: { objects: 0, bytes: 0 } },
  });
  const removed = Object.entries(done.removed).reduce((sum, [, tally]) => sum + tally.bytes, 0);
  expect(bytes - after).toBe(removed);
  expect(removed).toBeGreaterThan(0);
});

/** Bytes of all that a sweep counts. */
async function sizesOf({ memory }: Lab): Promise<number> {
  let sum = 0;
  for (const folder of [
    Folder.packs,
    Folder.pages,
    Folder.manifests,
    Folder.points,
    Folder.staging,
    Folder.receipts,
    Folder.states,
  ])
    for await (const { size } of memory.list(folder)) sum += size;
  return sum;
}

test.each([
  ['before its time of grace is over', 167.9, 'grace'],
  ['when its time of grace is over', 168, undefined],
])('an expired point %s', async (_, hours, delay) => {
  const { lab, expired } = await expiredLab();
  const now = new Date(NOW.getTime() + hours * 3_600_000);
  const { points, delayed } = await lab.sweep({ now, graceHours: 168 });
  expect(delayed).toMatchObject(delay === undefined ? [] : [{ run: expired, delay }]);
  expect(points).toHaveLength(delay === undefined ? 1 : 0);
  expect(await checkAllEvenExpired(lab)).toBe(delay === undefined ? 1 : 2);
});

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

test.each([
  ['is brought back', undeleted],
  ['is held', held],
])('a point that %s between the look and the entry stays whole', async (_, entry) => {
  const { lab, expired } = await expiredLab();
  const hook = onceBefore('create', Folder.journal, () => lab.append(entry(expired)));
  const report = await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(report.points).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(2);
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

test('parts and receipts of open runs stay, those of ended and unknown runs go, and a run that starts meanwhile is safe', async () => {
  const lab = await newLab();
  const vault = await lab.open();
  const open = await startRun(vault, RUN, NOW);
  const ended = await startRun(vault, RUN, NOW);
  await abandonRun(vault, ended, 'test', NOW);
  const unknown = '20200101-000000-00000a';
  const put = async (run: string) => {
    await lab.memory.create(stagingKey({ run, disk: 0, part: 0 }), [Buffer.from('part')]);
    await lab.memory.create(receiptKey({ run, disk: 0, part: 0 }), [Buffer.from('receipt')]);
  };
  for (const run of [open, ended, unknown]) await put(run);
  let late = '';
  const hook = onceBefore('list', Folder.staging, async () => {
    late = await startRun(vault, RUN, NOW);
    await put(late);
  });
  const report = await lab.sweep({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(report.removed).toMatchObject({ staging: { objects: 2 }, receipts: { objects: 2 } });
  const left = [...(await keysIn(lab.memory, Folder.staging)), ...(await keysIn(lab.memory, Folder.receipts))];
  expect(left.map((key) => key.split('/')[1]).sort()).toEqual([open, open, late, late].sort());
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

test.each([
  [Folder.pages, 'missing'],
  [Folder.pages, 'flipped in the middle'],
  [Folder.manifests, 'missing'],
  [Folder.manifests, 'cut in the middle'],
] as const)(
  'while a record of %s is %s no page and no pack is condemned, and the report names it',
  async (folder, name) => {
    const { lab, kept } = await expiredLab();
    const vault = await lab.open();
    const { disks } = vault.journal.state().points.get(kept) ?? { disks: [] };
    const manifest = disks[0]?.manifest ?? '';
    const { readManifest } = await import('#vault/records.ts');
    const page = (await readManifest(vault, manifest)).pages[0] ?? '';
    const key = contentKey(folder, folder === Folder.pages ? page : manifest);
    const damage = DAMAGES.find((each) => each.name === name);
    if (damage === undefined) throw new Error('no such damage');
    const undo = await spoil(lab.memory, key, damage);
    const packs = await keysIn(lab.memory, Folder.packs);
    const pages = await keysIn(lab.memory, Folder.pages);
    const report = await lab.sweep();
    expect(report.problems).toMatchObject([{ object: key }]);
    expect(report.points).toHaveLength(1);
    expect(await keysIn(lab.memory, Folder.packs)).toEqual(packs);
    expect(await keysIn(lab.memory, Folder.pages)).toEqual(pages);
    await undo();
    await lab.sweep();
    expect(await strays(await lab.open())).toEqual([]);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  },
);

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

import { expect, test, vi } from 'vitest';
import { abandonRun, startRun } from '#vault/runs.ts';
import { contentKey, Folder, receiptKey, stagingKey } from '#vault/store/object-names.ts';
import { DAMAGES, keysIn, spoil } from '../../damage.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { expiredLab, held, type Lab, NOW, newLab, undeleted } from './lab.ts';
import { checkAllEvenExpired, strays } from './needed-objects.ts';

// On a busy machine; each takes a fraction of a second.
vi.setConfig({ testTimeout: 30_000 });

const RUN = { group: 'g', disks: ['disk'], host: 'h', process: '1@b' };

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

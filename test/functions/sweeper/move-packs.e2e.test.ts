import { expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { readManifest, readMove, writeMove } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { segmentsOf } from '#vault/words.ts';
import { flipped, keysIn, replaceObject } from '../../damage.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { restored } from '../../restored.ts';
import { foundDamaged, fresh, type Lab, NOW, newLab } from './lab.ts';
import { checkAllEvenExpired, packsOfPoint, strays } from './needed-objects.ts';

/** A point of which a few segments of each pack are still needed, by a later one; the earlier one is gone. */
async function sparseLab(): Promise<Lab> {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 8);
  await lab.backUp(
    fresh(1, 24).map((_, i) => (i % 4 === 0 ? undefined : 2000 + i)),
    8,
  );
  await lab.expire(id);
  await lab.sweep();
  return lab;
}

const packsIn = (store: ObjectStore) => keysIn(store, Folder.packs);
const stateOf = async (lab: Lab) => (await lab.open()).journal.state();

test('sparse packs are emptied into few new ones, and the next sweep frees them', async () => {
  const lab = await sparseLab();
  const before = await packsIn(lab.memory);
  const report = await lab.move();
  expect(report.moved).toMatchObject({ packs: 3, newPacks: 1 });
  const { moved } = await stateOf(lab);
  expect(moved.size).toBe(3);
  expect(await checkAllEvenExpired(lab)).toBe(1);
  const swept = await lab.sweep();
  expect(swept.removed.packs).toEqual({ objects: 3, bytes: report.moved.bytes });
  const after = await packsIn(lab.memory);
  expect(
    before
      .filter((key) => !after.includes(key))
      .map(nameOf)
      .sort(),
  ).toEqual([...moved.keys()].sort());
  expect(await checkAllEvenExpired(lab)).toBe(1);
  expect(await strays(await lab.open())).toEqual([]);
});

test('a dry run tells what would be moved, and changes nothing', async () => {
  const lab = await sparseLab();
  const before = await keysIn(lab.memory, '');
  const report = await lab.move({ dryRun: true });
  expect(report).toMatchObject({ dryRun: true, sparse: { packs: 3 }, chosen: { packs: 3 }, moved: { packs: 0 } });
  expect(await keysIn(lab.memory, '')).toEqual(before);
});

test('packs of which enough is needed, or that would gain too little, are left alone', async () => {
  const lab = await sparseLab();
  expect((await lab.move({ below: 0.25 })).sparse.packs).toBe(0);
  expect((await lab.move({ below: 0.26 })).sparse.packs).toBe(3);
  const again = await sparseLab();
  expect((await again.move({ leastGain: 100_000 })).sparse.packs).toBe(0);
});

test('no more is copied than the limit allows, and the rest another time', async () => {
  const lab = await sparseLab();
  const { sparse } = await lab.move({ dryRun: true });
  const cost = sparse.bytes - sparse.gain;
  const first = await lab.move({ limitBytes: Math.ceil(cost / 2) });
  expect(first.moved.packs).toBeGreaterThan(0);
  expect(first.moved.packs).toBeLessThan(3);
  await lab.move();
  expect((await stateOf(lab)).moved.size).toBe(3);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('what expired points need is moved along, for they can be brought back', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 24);
  await lab.backUp(
    fresh(1, 24).map((_, i) => (i === 3 ? undefined : 2000 + i)),
    24,
  );
  await lab.expire(id);
  expect((await lab.move()).moved.packs).toBe(0);
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('segments are followed through any number of moves', async () => {
  const lab = await newLab();
  for (let round = 0; round < 4; round++) {
    const { id } = await lab.backUp(
      fresh(round, 24).map((content, i) => (i === 5 && round > 0 ? undefined : content)),
      6,
    );
    await lab.backUp(
      fresh(100 + round, 24).map((content, i) => (i === 5 ? undefined : content)),
      6,
    );
    await lab.expire(id);
    await lab.sweep();
    await lab.move();
    await lab.sweep();
    expect(await checkAllEvenExpired(lab)).toBe(round + 1);
  }
  expect(await strays(await lab.open())).toEqual([]);
});

test('new pages name the packs that segments were moved to, so that old moves can go', async () => {
  const lab = await sparseLab();
  await lab.move();
  await lab.sweep();
  const { moved } = await stateOf(lab);
  const [expired] = (await stateOf(lab)).points.keys();
  const { id } = await lab.backUp([4711]);
  const named = await packsOfPoint(await lab.open(), id);
  expect(named.some((pack) => moved.has(pack))).toBe(false);
  await lab.expire(expired ?? '');
  await lab.sweep();
  expect((await stateOf(lab)).moved.size).toBe(0);
  expect(await keysIn(lab.memory, Folder.moves)).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
  expect(await strays(await lab.open())).toEqual([]);
});

test('an unchanged disk keeps its pages, though their packs were moved', async () => {
  const lab = await sparseLab();
  const [point] = (await stateOf(lab)).points.values();
  await lab.move();
  await lab.sweep();
  lab.guest.loseBitmaps();
  const again = await lab.backup({ partSegments: 8 });
  expect(again.disks[0]).toMatchObject({ manifest: point?.disks[0]?.manifest, newBytes: 0 });
});

test('dedupe finds the new pack, never the emptied one', async () => {
  const lab = await sparseLab();
  await lab.move();
  const { moved } = await stateOf(lab);
  // As another disk: only samples can tell.
  const contents = fresh(1, 24).filter((_, i) => i % 4 === 0);
  lab.guest.loseBitmaps();
  const point = await lab.backUp([...contents, ...fresh(3, 18)], 24);
  const named = await packsOfPoint(await lab.open(), point.id);
  expect(named.some((pack) => moved.has(pack))).toBe(false);
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('a pack that cannot be read stays as it is, and the others are moved', async () => {
  const lab = await sparseLab();
  const [victim] = await packsOfPoint(await lab.open(), [...(await stateOf(lab)).points.keys()][0] ?? '');
  const key = contentKey(Folder.packs, victim ?? '');
  const bytes = await lab.memory.get(key);
  await replaceObject(lab.memory, key, flipped(bytes, bytes.length - 30));
  const report = await lab.move();
  expect(report.problems).toMatchObject([{ object: key }]);
  expect(report.moved.packs).toBe(2);
  expect((await stateOf(lab)).moved.has(victim ?? '')).toBe(false);
  await lab.sweep();
  await replaceObject(lab.memory, key, bytes);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('packs that were found damaged are not touched', async () => {
  const lab = await sparseLab();
  const damaged = await packsOfPoint(await lab.open(), [...(await stateOf(lab)).points.keys()][0] ?? '');
  await lab.append(foundDamaged(damaged));
  expect((await lab.move()).sparse.packs).toBe(0);
});

test('a commit that comes between and needs what was not copied keeps its pack from being moved', async () => {
  const lab = await sparseLab();
  // Deduped against a pack of which the survey knew too little: the packs' dead segments come back.
  const hook = onceBefore('create', Folder.journal, () => lab.backUp(fresh(1, 24), 24));
  const vault = await lab.openOver(openHookedStore(lab.memory, hook));
  const report = await lab.move({}, vault);
  const point = [...(await stateOf(lab)).points.keys()].at(-1) ?? '';
  const named = new Set(await packsOfPoint(await lab.open(), point));
  const { moved } = await stateOf(lab);
  expect(report.moved.packs).toBe(moved.size);
  for (const pack of named) expect(moved.has(pack)).toBe(false);
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('a commit that was mapped before a move maps again, and does not fail', async () => {
  const lab = await sparseLab();
  // The one is new; the other is what it was, and found in a pack that is about to be moved.
  lab.guest.write(1, 4711);
  lab.guest.write(0, fresh(1, 1)[0] ?? 0);
  let moves = 0;
  const hook = onceBefore('create', Folder.points, async () => {
    moves = (await lab.move()).moved.packs;
    await lab.sweep();
  });
  const point = await lab.backup({ over: (store) => openHookedStore(store, hook) });
  expect(moves).toBeGreaterThan(0);
  const named = await packsOfPoint(await lab.open(), point.id);
  const { moved } = await stateOf(lab);
  expect(named.some((pack) => moved.has(pack))).toBe(false);
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('a run that deduped against a dead segment of a pack that was emptied since still commits', async () => {
  const lab = await sparseLab();
  const dead = fresh(1, 24).filter((_, i) => i % 4 !== 0);
  // The receipts are there; the commit has not begun.
  const hook = onceBefore('get', Folder.staging, async () => undefined);
  let moved = 0;
  const before = (verb: string, key: string) => {
    if (verb !== 'get' || !key.endsWith('/summary') || moved > 0) return hook('get', key);
    return lab.move().then(async (report) => {
      moved = report.moved.packs;
      await lab.sweep();
    });
  };
  for (const [i, content] of dead.entries()) lab.guest.write(i, content);
  const point = await lab.backup({ partSegments: 24, over: (store) => openHookedStore(store, before) });
  expect(moved).toBeGreaterThan(0);
  expect(point.disks[0]?.newBytes).toBeLessThan(dead.length * 65_536);
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
  const [first] = (await stateOf(lab)).points.keys();
  await lab.expire(first ?? '');
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(1);
  expect(await strays(await lab.open())).toEqual([]);
});

test('a sweep that takes the new packs for left-overs makes the move copy again', async () => {
  const lab = await sparseLab();
  const hook = onceBefore('create', Folder.journal, () => lab.sweep());
  const report = await lab.move({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(report.moved.packs).toBe(3);
  expect(await checkAllEvenExpired(lab)).toBe(1);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
});

test('copies that were removed are copied again, though rotating the key has made the journal forget their names', async () => {
  const lab = await sparseLab();
  const hook = onceBefore('create', Folder.journal, async () => {
    await lab.sweep();
    const vault = await lab.open();
    const others = vault.journal.state().recipients;
    await rotateKeys(vault, { remove: [], noEscrow: true, now: NOW });
    expect(others.size).toBeGreaterThan(0);
    expect((await lab.open()).journal.state().condemned.size).toBe(0);
  });
  const report = await lab.move({}, await lab.openOver(openHookedStore(lab.memory, hook)));
  expect(report.moved.packs).toBe(3);
  expect(await checkAllEvenExpired(lab)).toBe(1);
  await lab.sweep();
  expect(await strays(await lab.open())).toEqual([]);
  // What is moved once more goes from the old key's ids to the new key's.
  await lab.backUp([4711, 4712]);
  await lab.move();
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('two moves at once move each pack once', async () => {
  const lab = await sparseLab();
  const hook = onceBefore('create', Folder.journal, async () => {
    expect((await lab.move()).moved.packs).toBe(3);
  });
  const store = openCountedStore(openHookedStore(lab.memory, hook));
  const late = await lab.move({}, await lab.openOver(store));
  expect(late.moved.packs).toBe(0);
  // What others move is no reason to read all pages again.
  expect(store.requests('get', 'pages')).toBe(1);
  await lab.sweep();
  expect(await checkAllEvenExpired(lab)).toBe(1);
  expect(await strays(await lab.open())).toEqual([]);
});

test.each([true, false])(
  'a restore under which packs are moved and removed goes on where they went (best effort: %s)',
  async (bestEffort) => {
    const lab = await sparseLab();
    const vault = await lab.open();
    const [point] = vault.journal.state().points.values();
    const disk = point?.disks[0];
    if (disk === undefined) throw new Error('no disk');
    for (const moment of [Folder.pages, Folder.packs] as const) {
      const other = await sparseLab();
      const opened = await other.open();
      const own = [...opened.journal.state().points.values()][0]?.disks[0];
      if (own === undefined) throw new Error('no disk');
      let gone = 0;
      let calls = 0;
      const store = openHookedStore(other.memory, (verb, key) => {
        // At the second request for a pack its index is known already.
        if (verb !== 'get' || !key.startsWith(moment) || ++calls !== (moment === Folder.packs ? 2 : 1))
          return undefined;
        return other.move().then(async () => {
          gone = (await other.sweep()).removed.packs.objects;
        });
      });
      // With the journal of the vault, and without: then the one in the store is asked.
      const readers = [
        { ...opened, store },
        { store, keyring: opened.keyring },
      ];
      const reader = openDiskReader(readers[bestEffort ? 0 : 1] ?? opened, { bestEffort });
      const image = Buffer.alloc(own.size, 0xff);
      for await (const piece of reader.read(await readManifest(opened, own.manifest), {
        first: 0,
        count: segmentsOf(own.size),
      })) {
        if (piece.kind === 'data') piece.bytes.copy(image, piece.offset);
        else if (piece.kind === 'zero') image.fill(0, piece.offset, piece.offset + piece.length);
      }
      expect(gone).toBeGreaterThan(0);
      const [run] = opened.journal.state().points.keys();
      expect(other.guest.moments.get(run ?? '')?.equals(image)).toBe(true);
    }
  },
);

test('moves that lead in a circle are refused by name, not followed for ever', async () => {
  const lab = await sparseLab();
  await lab.move();
  const vault = await lab.open();
  const [run] = vault.journal.state().points.keys();
  const [[, name] = ['', '']] = vault.journal.state().moved;
  const { packs } = await readMove(vault, name);
  const target = packs[0]?.runs[0]?.target ?? '';
  const back = packs.flatMap(({ pack, runs }) =>
    runs.map((run) => ({ first: run.targetFirst, count: run.count, target: pack, targetFirst: run.first })),
  );
  back.sort((a, b) => a.first - b.first);
  const move = await writeMove(vault, { packs: [{ pack: target, runs: back }] });
  await lab.append({ type: 'packs-moved', move, packs: [packName(target)], at: NOW.toISOString() });
  await expect(restored(await lab.open(), run ?? '')).rejects.toMatchObject({
    code: 'bad-format',
    message: expect.stringContaining('leads back'),
  });
});

test('while a page cannot be read nothing is moved', async () => {
  const lab = await sparseLab();
  const [page] = await keysIn(lab.memory, Folder.pages);
  const bytes = await lab.memory.get(page ?? '');
  await replaceObject(lab.memory, page ?? '', undefined);
  const report = await lab.move();
  expect(report).toMatchObject({ problems: [{ object: page }], moved: { packs: 0 } });
  expect((await stateOf(lab)).moved.size).toBe(0);
  await replaceObject(lab.memory, page ?? '', bytes);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

import { expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { fresh, type Lab, NOW, newLab } from '../sweeper/lab.ts';
import { checkAllEvenExpired } from '../sweeper/needed-objects.ts';

const NONE = { packs: [], pages: [], manifests: [], points: [], moves: [] };
const at = NOW.toISOString();

/** What happens once a commit has written its records, and before it decides. */
function beforeItDecides(act: () => Promise<unknown>): (store: ObjectStore) => ObjectStore {
  return (store) => openHookedStore(store, onceBefore('create', Folder.points, act));
}

async function pointOf(lab: Lab, run: string) {
  const { points, expired } = (await lab.open()).journal.state();
  const point = points.get(run) ?? expired.get(run);
  const manifest = point?.disks[0]?.manifest;
  if (point === undefined || manifest === undefined) throw new Error('no such point');
  return { name: point.point, manifest };
}

/** Condemns a point and its manifest, as the first entry of a sweep with too many names for one. Pages and packs would come next. */
async function condemnPoint(lab: Lab, run: string): Promise<void> {
  const { name, manifest } = await pointOf(lab, run);
  await lab.expire(run);
  await lab.append({ type: 'condemned', ...NONE, points: [name], manifests: [manifest], at });
}

const packsNamedBy = async (lab: Lab, run: string): Promise<string[]> => {
  const vault = await lab.open();
  const { pages } = await readManifest(vault, (await pointOf(lab, run)).manifest);
  const extents = await Promise.all(pages.map((page) => (page === undefined ? [] : readPage(vault, page))));
  return [...new Set(extents.flat().map(({ pack }) => packName(pack ?? '')))];
};

test('a commit is refused when a pack that it was deduped against is condemned at the last moment', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 24);
  const packs = await packsNamedBy(lab, id);
  // All of its own past stays: what goes is a pack, as if another disk alone had needed it.
  const act = () => lab.append({ type: 'condemned', ...NONE, packs, at });
  lab.guest.loseBitmaps();
  lab.guest.write(3, 4711);
  const before = (await lab.open()).journal.state();
  await expect(lab.backup({ over: beforeItDecides(act) })).rejects.toMatchObject({ code: 'condemned' });
  const { points, position } = (await lab.open()).journal.state();
  expect([...points.keys()]).toEqual([id]);
  // Started, condemned, given up.
  expect(position).toBe(before.position + 3);
});

test('a commit never shares pages of a base that is being removed, though none of its pages is condemned yet', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24));
  lab.guest.write(3, 4711);
  await expect(lab.backup({ over: beforeItDecides(() => condemnPoint(lab, id)) })).rejects.toMatchObject({
    code: 'part-refused',
  });
  expect((await lab.open()).journal.state().points.size).toBe(0);
  // The next one reads everything.
  expect((await lab.backup()).disks[0]?.base).toBeUndefined();
  expect(await checkAllEvenExpired(lab)).toBe(1);
});

test('a commit whose newest past is removed meanwhile does without it', async () => {
  const lab = await newLab();
  const { id: base } = await lab.backUp(fresh(1, 24));
  // Another exporter of the same disk: newer, and not what the run counts from.
  const { id: newest } = await lab.backUp([4711]);
  lab.guest.loseBitmaps();
  const point = await lab.backup({ over: beforeItDecides(() => condemnPoint(lab, newest)) });
  expect(point.disks[0]?.manifest).not.toBe((await pointOf(lab, base)).manifest);
  expect([...(await lab.open()).journal.state().points.keys()]).toEqual([base, point.id]);
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('a commit whose records a sweep takes for left-overs writes them again', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 24));
  lab.guest.write(3, 4711);
  let pages: string[] = [];
  const store = (inner: ObjectStore) => {
    const created: string[] = [];
    const condemnOwn = onceBefore('create', Folder.points, async () => {
      pages = created.filter((key) => key.startsWith(Folder.pages)).map((key) => key.slice(-64));
      await lab.append({ type: 'condemned', ...NONE, pages, at });
      await inner.remove(created.filter((key) => key.startsWith(Folder.pages)));
    });
    return openHookedStore(inner, (verb, key) => {
      if (verb === 'create') created.push(key);
      return condemnOwn(verb, key);
    });
  };
  await lab.backup({ over: store });
  expect(pages).toHaveLength(1);
  expect(await checkAllEvenExpired(lab)).toBe(2);
});

test('a run whose base expired while it ran commits all the same', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24));
  lab.guest.write(3, 4711);
  const point = await lab.backup({
    over: (store) =>
      openHookedStore(
        store,
        onceBefore('get', Folder.staging, () => lab.expire(id)),
      ),
  });
  expect(point.disks[0]?.base).toBe(id);
  expect(await checkAllEvenExpired(lab)).toBe(2);
  expect((await lab.open()).journal.state().points.size).toBe(1);
});

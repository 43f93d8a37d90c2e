import { expect, test } from 'vitest';
import type { ObjectLocking } from '#vault/store/object-locking.ts';
import { Folder, isLasting } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import type { VaultLock } from '#vault/words.ts';
import { keysIn } from '../../damage.ts';
import { expiredLab, type Lab, NOW } from './lab.ts';
import { checkAllEvenExpired, strays } from './needed-objects.ts';

const DAY_MS = 86_400_000;
const LOCK: VaultLock = { mode: 'compliance', days: 30 };
const inDays = (days: number) => new Date(NOW.getTime() + days * DAY_MS);

/** The lab's vault as if it were locked, all that lasts until one moment, and what its store was asked to remove. */
async function lockedVault(lab: Lab, until: Date) {
  const vault = await lab.open();
  const asked: string[] = [];
  const extended = new Set<string>();
  let now = NOW;
  const isKept = (key: string) => isLasting(key) && until > now;
  const remove: ObjectStore['remove'] = async (keys) => {
    asked.push(...keys.filter(isLasting));
    await vault.store.remove(keys.filter((key) => !isKept(key)));
    return keys.filter(isKept).map((key) => ({ key, until }));
  };
  const locking: Partial<ObjectLocking> = {
    now: async () => now,
    rule: () => LOCK,
    kept: async (keys) => keys.filter(isKept).map((key) => ({ key, until })),
    extend: async ({ key }) => void extended.add(key),
    async *versions(prefix) {
      if (!prefix.endsWith('/')) return;
      for await (const object of vault.store.list(prefix))
        yield { ...object, versions: [{ id: 'v', size: object.size }], markers: [], hidden: false };
    },
  };
  const store: ObjectStore = { ...vault.store, remove, locking: locking as ObjectLocking };
  const locked: Vault = { ...vault, store, description: { ...vault.description, lock: LOCK } };
  const sweep = (at: Date, request = {}) => {
    now = at;
    return lab.sweep({ now: at, ...request }, locked);
  };
  return { sweep, asked, extended };
}

const NOTHING = { objects: 0, bytes: 0 };

test('what is condemned and locked stays, is told, and is not asked for again before its lock ends', async () => {
  const { lab } = await expiredLab();
  const { sweep, asked } = await lockedVault(lab, inDays(10));
  const told = await sweep(NOW, { dryRun: true });
  const first = await sweep(NOW);
  expect(first.removed).toMatchObject({ points: NOTHING, manifests: NOTHING, pages: NOTHING, packs: NOTHING });
  // A point, a manifest, a page, and the packs of what it alone needed.
  expect(first.locked.objects).toBeGreaterThanOrEqual(4);
  expect(first.locked.bytes).toBeGreaterThan(0);
  expect(told.locked).toEqual(first.locked);
  const end = Date.parse(first.locked.until ?? '');
  expect(end).toBeGreaterThanOrEqual(inDays(10).getTime());
  expect(end).toBeLessThan(inDays(11).getTime());
  expect(asked.length).toBe(first.locked.objects);
  const second = await sweep(inDays(9));
  expect(second.locked).toEqual(first.locked);
  expect(asked.length).toBe(first.locked.objects);
  const third = await sweep(inDays(11));
  expect(third.locked).toEqual(NOTHING);
  const removed = Object.values(third.removed).reduce((sum, { objects }) => sum + objects, 0);
  expect(removed).toBeGreaterThanOrEqual(first.locked.objects);
  expect(await strays(await lab.open())).toEqual([]);
  expect(await checkAllEvenExpired(lab)).toBe(1);
  expect((await keysIn(lab.memory, Folder.sweeps)).filter((key) => key.endsWith('/9999'))).toEqual([]);
});

test('when the note is lost all are asked for once more', async () => {
  const { lab } = await expiredLab();
  const { sweep, asked } = await lockedVault(lab, inDays(10));
  const { locked } = await sweep(NOW);
  await lab.memory.remove(await keysIn(lab.memory, Folder.sweeps));
  expect((await sweep(inDays(1))).locked).toEqual(locked);
  expect(asked.length).toBe(2 * locked.objects);
  await sweep(inDays(2));
  expect(asked.length).toBe(2 * locked.objects);
});

test('a sweep extends the locks of all but what it condemned, and a dry one of nothing', async () => {
  const { lab } = await expiredLab();
  const { sweep, asked, extended } = await lockedVault(lab, inDays(400));
  const late = inDays(300);
  expect((await sweep(late, { dryRun: true })).locks).toMatchObject({ dryRun: true, shards: 256 });
  expect(extended.size).toBe(0);
  const { locks } = await sweep(late);
  expect(locks).toMatchObject({ dryRun: false, shards: 256, objects: extended.size });
  expect(asked.filter((key) => extended.has(key))).toEqual([]);
  const [packs, journal] = [await keysIn(lab.memory, Folder.packs), await keysIn(lab.memory, Folder.journal)];
  expect(packs.filter((key) => !extended.has(key) && !asked.includes(key))).toEqual([]);
  // The entry that says so came last.
  expect(journal.filter((key) => !extended.has(key))).toEqual(journal.slice(-1));
});

import { beforeEach, expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { mirrorVault } from '../../../functions/replicator/mirror-vault.ts';
import { keysIn, replaceObject } from '../../damage.ts';
import { newWorld, type World } from '../../model/world.ts';
import { restored } from '../../restored.ts';
import { fresh, newLab } from '../sweeper/lab.ts';

const MIRRORED = ['packs/', 'pages/', 'manifests/', 'points/', 'moves/', 'keys/', 'journal/'];

let world: World;
beforeEach(async () => {
  world = await newWorld(40);
  world.guest.write(3, 7);
  await world.backup();
});

async function contentOf(store: ObjectStore): Promise<ReadonlyMap<string, string>> {
  const content = new Map<string, string>();
  for (const folder of MIRRORED) {
    for (const key of await keysIn(store, folder)) content.set(key, (await store.get(key)).toString('hex'));
  }
  return content;
}

test('a replica has every object of the vault and its journal, and goes on from where it was', async () => {
  const target = openMemoryStore();
  const first = await mirrorVault({ source: world.memory, target });
  expect(first.objects).toBeGreaterThan(0);
  expect(await contentOf(target)).toEqual(await contentOf(world.memory));
  expect(await target.get('vault.json')).toEqual(await world.memory.get('vault.json'));
  expect(await mirrorVault({ source: world.memory, target })).toMatchObject({ objects: 0, entries: 0 });
  world.guest.write(5, 9);
  await world.backup();
  const again = await mirrorVault({ source: world.memory, target });
  expect(again.objects).toBeGreaterThan(0);
  expect(await contentOf(target)).toEqual(await contentOf(world.memory));
});

test('wherever a copy is cut off, the replica is no vault or a whole one, and the next copy completes it', async () => {
  const whole = await contentOf(world.memory);
  for (let writes = 0; ; writes++) {
    const target = openMemoryStore();
    let left = writes;
    const failing: ObjectStore = {
      ...target,
      create: (key, body) => (left-- > 0 ? target.create(key, body) : Promise.reject(new Error('cut off'))),
    };
    const cut = await mirrorVault({ source: world.memory, target: failing }).then(
      () => false,
      () => true,
    );
    if (!cut) break;
    const vaultThere = (await keysIn(target, '')).includes('vault.json');
    expect(vaultThere).toBe(false);
    await mirrorVault({ source: world.memory, target });
    expect(await contentOf(target)).toEqual(whole);
  }
});

test('an entry is never there before what it needs', async () => {
  const target = openMemoryStore();
  const order: string[] = [];
  const watched: ObjectStore = {
    ...target,
    create(key, body) {
      order.push(key);
      return target.create(key, body);
    },
  };
  await mirrorVault({ source: world.memory, target: watched });
  const firstEntry = order.findIndex((key) => key.startsWith('journal/'));
  expect(order.slice(firstEntry).filter((key) => !key.startsWith('journal/'))).toEqual(['vault.json']);
});

test('a damaged object is named and not copied', async () => {
  const [pack = ''] = await keysIn(world.memory, 'packs/');
  await replaceObject(world.memory, pack, Buffer.from('rubbish'));
  const target = openMemoryStore();
  expect((await mirrorVault({ source: world.memory, target })).damaged).toEqual([pack]);
  expect(await keysIn(target, 'packs/')).not.toContain(pack);
});

test('a replica that was written to is refused, and left as it is', async () => {
  const target = openMemoryStore();
  await mirrorVault({ source: world.memory, target });
  const before = await contentOf(target);
  const next = before.size === 0 ? 1 : (await keysIn(target, 'journal/')).length + 1;
  await target.create(journalKey(next), [Buffer.from('its own')]);
  await expect(mirrorVault({ source: world.memory, target })).rejects.toMatchObject({ code: 'journal-broken' });
  world.guest.write(1, 1);
  await world.backup();
  await expect(mirrorVault({ source: world.memory, target })).rejects.toMatchObject({ code: 'journal-broken' });
  expect((await target.get(journalKey(next))).toString()).toBe('its own');
});

test('another vault is never overwritten', async () => {
  const other = await newWorld(4);
  await expect(mirrorVault({ source: world.memory, target: other.memory })).rejects.toMatchObject({
    code: 'object-exists',
  });
});

test('objects that are swept while they are copied are looked for again, not forever', async () => {
  const lists: ObjectStore['list'] = async function* (prefix, options) {
    yield* world.memory.list(prefix, options);
    if (prefix === 'packs/') yield { key: `packs/ff/${'f'.repeat(64)}`, size: 1 };
  };
  let sweeps = 2;
  const swept: ObjectStore = {
    ...world.memory,
    list: (prefix, options) => (sweeps-- > 0 ? lists(prefix, options) : world.memory.list(prefix, options)),
  };
  const target = openMemoryStore();
  await mirrorVault({ source: swept, target });
  expect(await contentOf(target)).toEqual(await contentOf(world.memory));
  const always: ObjectStore = { ...world.memory, list: lists };
  await expect(mirrorVault({ source: always, target: openMemoryStore() })).rejects.toMatchObject({ code: 'busy' });
});

/** The source, beside which something happens the first time that a listing of packs begins. */
function beside(source: ObjectStore, happens: () => Promise<unknown>): ObjectStore {
  let happened = false;
  return {
    ...source,
    async *list(prefix, options) {
      if (prefix === Folder.packs && !happened) {
        happened = true;
        await happens();
      }
      yield* source.list(prefix, options);
    },
  };
}

test('what a move and a sweep do while it is copied leaves no entry in the replica whose objects are gone', async () => {
  const lab = await newLab();
  const { id: first } = await lab.backUp(fresh(1, 24));
  const { id: kept } = await lab.backUp(fresh(2, 12));
  await lab.expire(first);
  await lab.sweep();
  const target = openMemoryStore();
  await mirrorVault({
    source: beside(lab.memory, async () => {
      await lab.move();
      await lab.sweep();
    }),
    target,
  });
  const replica = await lab.openOver(target);
  expect(lab.guest.moments.get(kept)?.equals(await restored(replica, kept))).toBe(true);
});

test('a vault that goes on being written to is copied all the same', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 24));
  let backups = 0;
  const busy: ObjectStore = {
    ...lab.memory,
    async *list(prefix, options) {
      yield* lab.memory.list(prefix, options);
      if (prefix === Folder.packs && ++backups <= 3) await lab.backUp(fresh(10 + backups, 24));
    },
  };
  const target = openMemoryStore();
  await mirrorVault({ source: busy, target });
  const replica = await lab.openOver(target);
  const runs = [...replica.journal.state().points.keys()];
  expect(runs.length).toBeGreaterThan(0);
  for (const run of runs) expect(lab.guest.moments.get(run)?.equals(await restored(replica, run))).toBe(true);
});

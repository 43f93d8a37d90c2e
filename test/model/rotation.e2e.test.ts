import { expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { restored } from '../restored.ts';
import { backedUp, checkAllPoints } from './rotation-world.ts';

/** The memory of a world in which something else happens at the `n`-th call, before it. Counts the calls. */
function intercepted(memory: ObjectStore, n: number, act: () => Promise<unknown>) {
  let calls = 0;
  const before = async () => {
    if (++calls === n) await act();
  };
  const store: ObjectStore = {
    url: memory.url,
    create: async (...args) => before().then(() => memory.create(...args)),
    get: async (...args) => before().then(() => memory.get(...args)),
    remove: async (...args) => before().then(() => memory.remove(...args)),
    async *list(...args) {
      await before();
      yield* memory.list(...args);
    },
  };
  return { store, calls: () => calls };
}

test('a backup goes through whatever call of its store a rotation comes before', async () => {
  for (let [n, all] = [1, 2]; n <= all; n++) {
    const world = await backedUp(7);
    world.guest.write(1, 70);
    world.guest.write(6, 71);
    const { store, calls } = intercepted(world.memory, n, () => world.rotate());
    await world.backup({ store, partSegments: 2 });
    all = calls();
    expect([n, await checkAllPoints(world)]).toEqual([n, 2]);
    const { openRuns, epochs } = (await world.open()).journal.state();
    expect([openRuns.size, epochs.length]).toEqual([0, 2]);
  }
});

test('a rotation goes through whatever call of its store a backup comes before', async () => {
  for (let [n, all] = [1, 2]; n <= all; n++) {
    const world = await backedUp(7);
    world.guest.write(1, 70);
    const { store, calls } = intercepted(world.memory, n, () => world.backup());
    await world.rotate(store);
    all = calls();
    expect([n, await checkAllPoints(world)]).toEqual([n, 2]);
    expect((await world.open()).journal.state().epochs).toHaveLength(2);
  }
});

test('a restore goes through whatever call of its store a rotation and a backup come before', async () => {
  for (let [n, all] = [1, 2]; n <= all; n++) {
    const world = await backedUp(7);
    const meanwhile = async () => {
      await world.rotate();
      world.guest.write(2, 99);
      await world.backup();
    };
    const { store, calls } = intercepted(world.memory, n, meanwhile);
    const vault = await world.open(store);
    const [run = ''] = vault.journal.state().points.keys();
    const image = await restored(vault, run).catch(codeOf);
    all = calls();
    expect([n, Buffer.isBuffer(image) && world.guest.moments.get(run)?.equals(image)]).toEqual([n, true]);
  }
});

import { expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import type { Vault } from '#vault/vault.ts';
import { Crash, openFaultyStore } from '../faulty-store.ts';
import { fresh, type Lab, newLab } from '../functions/sweeper/lab.ts';
import { checkAllEvenExpired, strays } from '../functions/sweeper/needed-objects.ts';

const MISHAPS = ['crash-before', 'crash-midway', 'crash-after', 'fail', 'lose-answer'] as const;

/** An expired point, one that needs a little of each of its packs, and what a crashed run left. */
async function usedLab(): Promise<Lab> {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 6);
  const later = fresh(2, 24).map((content, i) => (i % 4 === 0 ? undefined : content));
  await lab.backUp(later, 6);
  await lab.backUp([7777, undefined, 0], 6);
  await lab.expire(id);
  return lab;
}

async function sweptAndMoved(): Promise<Lab> {
  const lab = await usedLab();
  await lab.sweep();
  await lab.move();
  return lab;
}

/** Each kind of work, on a vault where it has something to do. */
const WORKS: readonly {
  readonly name: string;
  readonly lab: () => Promise<Lab>;
  readonly work: (lab: Lab, vault: Vault) => Promise<unknown>;
}[] = [
  { name: 'a sweep of an expired point', lab: usedLab, work: (lab, vault) => lab.sweep({}, vault) },
  {
    name: 'a move',
    lab: async () => {
      const lab = await usedLab();
      await lab.sweep();
      return lab;
    },
    work: (lab, vault) => lab.move({}, vault),
  },
  { name: 'a sweep of moved packs', lab: sweptAndMoved, work: (lab, vault) => lab.sweep({ allSamples: true }, vault) },
];

async function writesOf({ lab, work }: (typeof WORKS)[number]): Promise<number> {
  const made = await lab();
  const store = openFaultyStore(made.memory, []);
  const vault = await made.openOver(store);
  const before = store.calls('write');
  await work(made, vault);
  return store.calls('write') - before;
}

test.each(WORKS)(
  '$name that dies at any of its writes loses nothing, and the next one finishes it',
  async (each) => {
    const writes = await writesOf(each);
    expect(writes).toBeGreaterThan(2);
    for (const does of MISHAPS) {
      for (let call = 1; call <= writes; call++) {
        const lab = await each.lab();
        const points = await checkAllEvenExpired(lab);
        const vault = await lab.openOver(openFaultyStore(lab.memory, [{ on: 'write', call, does }]));
        await each.work(lab, vault).catch((error: unknown) => {
          if (!(error instanceof Crash) && codeOf(error) === undefined) throw error;
        });
        expect(await checkAllEvenExpired(lab)).toBeLessThanOrEqual(points);
        await lab.sweep({ allSamples: true });
        await lab.move();
        await lab.backUp(fresh(1, 24), 6);
        await lab.sweep({ allSamples: true });
        expect([call, does, await strays(await lab.open())]).toEqual([call, does, []]);
        await checkAllEvenExpired(lab);
      }
    }
  },
  300_000,
);

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { abandonRun } from '#vault/runs.ts';
import type { Vault } from '#vault/vault.ts';
import { movePacks } from '../../functions/sweeper/move-packs.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { Crash, type Mishap } from '../faulty-store.ts';
import { checkAllEvenExpired, strays } from '../functions/sweeper/needed-objects.ts';
import { newWorld, type World } from './world.ts';

const SEGMENTS = 24;
const NOW = new Date('2026-06-01T00:00:00Z');

type Step =
  | { readonly do: 'write'; readonly segment: number; readonly content: number }
  | { readonly do: 'backup'; readonly partSegments: number }
  | { readonly do: 'interrupted backup'; readonly call: number; readonly mishap: Mishap }
  | { readonly do: 'expire' | 'undelete' | 'hold' | 'release'; readonly which: number }
  | { readonly do: 'lose bitmaps' | 'sweep' | 'rehearse' }
  | { readonly do: 'sweep with grace'; readonly hours: number }
  | { readonly do: 'move'; readonly below: number; readonly limit: number }
  | { readonly do: 'interrupted sweep' | 'interrupted move'; readonly call: number; readonly mishap: Mishap };

const mishap = fc.constantFrom<Mishap>('fail', 'lose-answer', 'crash-before', 'crash-midway', 'crash-after');
const call = fc.integer({ min: 1, max: 30 });
const which = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('write' as const), segment: fc.nat(SEGMENTS), content: fc.nat(9) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('backup' as const), partSegments: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('interrupted backup' as const), call, mishap }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('expire' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('undelete' as const, 'hold' as const, 'release' as const), which }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('sweep' as const, 'sweep' as const, 'rehearse' as const, 'lose bitmaps' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('sweep with grace' as const), hours: fc.constantFrom(1, 168) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      below: fc.constantFrom(0.4, 0.9, 1),
      limit: fc.constantFrom(500, 1_000_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('interrupted sweep' as const, 'interrupted move' as const),
      call,
      mishap,
    }),
  },
);

const moveAll = (vault: Vault, below = 1, limitBytes = 1_000_000) =>
  movePacks(vault, { now: NOW, below, limitBytes, leastGain: 1 });
const sweep = (vault: Vault, graceHours = 0) => sweepVault(vault, { now: NOW, graceHours });

async function perform(world: World, step: Step): Promise<void> {
  switch (step.do) {
    case 'write':
      return world.guest.write(step.segment, step.content);
    case 'lose bitmaps':
      return world.guest.loseBitmaps();
    case 'backup':
      await world.backup({ partSegments: step.partSegments });
      return;
    case 'interrupted backup':
      return interrupted(() => world.backup({ faults: [{ on: 'write', call: step.call, does: step.mishap }] }));
    case 'expire':
    case 'undelete':
    case 'hold':
    case 'release':
      return entry(await world.open(), step);
    case 'sweep':
      await sweep(await world.open());
      return;
    case 'rehearse':
      return rehearse(await world.open());
    case 'sweep with grace':
      await sweep(await world.open(), step.hours);
      return;
    case 'move':
      await moveAll(await world.open(), step.below, step.limit);
      return;
    default: {
      const vault = await world.open({ on: 'write', call: step.call, does: step.mishap });
      return interrupted(() => (step.do === 'interrupted sweep' ? sweep(vault) : moveAll(vault)));
    }
  }
}

async function interrupted(act: () => Promise<unknown>): Promise<void> {
  await act().catch((error: unknown) => {
    if (!(error instanceof Crash) && codeOf(error) === undefined) throw error;
  });
}

/** What a dry run tells must come true. */
async function rehearse(vault: Vault): Promise<void> {
  const told = await sweepVault(vault, { now: NOW, graceHours: 0, dryRun: true });
  const { position } = vault.journal.state();
  const done = await sweep(vault);
  expect(position).toBeLessThanOrEqual(vault.journal.state().position);
  for (const kind of ['points', 'manifests', 'pages', 'moves', 'packs', 'staging', 'receipts', 'states'] as const) {
    expect([kind, done.removed[kind]]).toEqual([kind, told.removed[kind]]);
  }
}

async function entry({ journal }: Vault, step: Extract<Step, { do: 'expire' | 'undelete' | 'hold' | 'release' }>) {
  const { points, expired, holds } = journal.state();
  const at = NOW.toISOString();
  const pick = (runs: Iterable<string>) => {
    const all = [...runs];
    return all[step.which % Math.max(all.length, 1)];
  };
  const held = (run: string | undefined) => [...holds.values()].some(({ points }) => points.includes(run ?? ''));
  if (step.do === 'release') {
    const hold = pick(holds.keys());
    if (hold !== undefined) await journal.append(() => ({ type: 'hold-released', hold, at }));
    return;
  }
  const run = pick(step.do === 'undelete' ? expired.keys() : points.keys());
  if (run === undefined) return;
  if (step.do === 'undelete') await journal.append(() => ({ type: 'points-undeleted', points: [run], at }));
  else if (step.do === 'expire')
    await journal.append(() => ({ type: 'points-expired', points: [run], reason: 'test', at }));
  else if (!held(run)) {
    const hold = `hold ${run}`;
    await journal.append(() => ({
      type: 'hold-placed',
      hold,
      kind: 'read',
      points: [run],
      reason: 'test',
      host: 'h',
      at,
    }));
  }
}

/** Ends what is still open and sweeps once: nothing may be left that no point needs. */
async function finish(world: World): Promise<string[]> {
  const vault = await world.open();
  for (const run of vault.journal.state().openRuns.keys()) await abandonRun(vault, run, 'test', NOW);
  await sweep(vault);
  return strays(vault);
}

test('whatever is backed up, expired, brought back, swept, moved and cut off, every point restores and nothing leaks', async () => {
  const runs = Number(process.env['MODEL_RUNS'] ?? 60);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 30 }), async (steps) => {
      const world = await newWorld(SEGMENTS);
      for (const each of steps) {
        await perform(world, each);
        if (each.do !== 'write') await checkAllEvenExpired(world);
      }
      expect(await finish(world)).toEqual([]);
      await checkAllEvenExpired(world);
    }),
    { numRuns: runs },
  );
}, 600_000);

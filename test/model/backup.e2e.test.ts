import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { Crash, type Mishap } from '../faulty-store.ts';
import type { Delivery } from './inline-host.ts';
import { checkAllPoints, newWorld, type World } from './world.ts';

const SEGMENTS = 24;

type Step =
  | { readonly do: 'write'; readonly segment: number; readonly content: number }
  | { readonly do: 'backup'; readonly delivery: number; readonly partSegments: number }
  | {
      readonly do: 'interrupted backup';
      readonly call: number;
      readonly mishap: Mishap;
      readonly on: 'create' | 'get' | 'write';
    }
  | { readonly do: 'lose bitmaps' }
  | { readonly do: 'resize'; readonly segments: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write' as const), segment: fc.nat(SEGMENTS), content: fc.nat(9) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('backup' as const),
      delivery: fc.nat(1000),
      partSegments: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('interrupted backup' as const),
      call: fc.integer({ min: 1, max: 30 }),
      mishap: fc.constantFrom<Mishap>(
        'fail',
        'lose-answer',
        'disk-full',
        'crash-before',
        'crash-midway',
        'crash-after',
      ),
      on: fc.constantFrom('create' as const, 'get' as const, 'write' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'lose bitmaps' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), segments: fc.integer({ min: 1, max: SEGMENTS }) }),
  },
);

/** Loses, repeats and delays events, each by chance of `seed` and key. */
function deliveryOf(seed: number): Delivery {
  const chance = (key: string, kind: number) => (Number(key.at(-1)) * 7 + seed + kind * 3) % 5;
  return {
    lose: (key) => chance(key, 1) === 0,
    times: (key) => (chance(key, 2) === 0 ? 3 : 1),
    late: (key) => chance(key, 3) === 0,
  };
}

async function perform(world: World, step: Step): Promise<void> {
  if (step.do === 'write') world.guest.write(step.segment, step.content);
  else if (step.do === 'lose bitmaps') world.guest.loseBitmaps();
  else if (step.do === 'resize') world.guest.resize(step.segments);
  else if (step.do === 'backup')
    await world.backup({ delivery: deliveryOf(step.delivery), partSegments: step.partSegments });
  else {
    const { on, call, mishap } = step;
    await world.backup({ faults: [{ on, call, does: mishap }] }).catch((error: unknown) => {
      if (!(error instanceof Crash) && codeOf(error) === undefined) throw error;
    });
  }
}

test('whatever is written, lost, repeated, interrupted or resized, every committed point restores bit for bit', async () => {
  const runs = Number(process.env['MODEL_RUNS'] ?? 15);
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 24 }),
      fc.nat(SEGMENT_SIZE - 1),
      async (steps, missing) => {
        const world = await newWorld(SEGMENTS, missing);
        for (const each of steps) await perform(world, each);
        await world.backup();
        expect(await checkAllPoints(world)).toBeGreaterThan(0);
      },
    ),
    { numRuns: runs },
  );
}, 120_000);

test('an incremental reads and stores what was written since, and nothing else', async () => {
  const world = await newWorld(SEGMENTS);
  for (let i = 0; i < SEGMENTS; i++) world.guest.write(i, i + 1);
  const first = await world.backup();
  world.guest.write(5, 500);
  world.guest.write(6, 0);
  const second = await world.backup();
  expect(first.disks[0]?.newBytes).toBe(SEGMENTS * SEGMENT_SIZE);
  expect(world.guest.lastPlan()).toMatchObject({
    base: first.id,
    data: [{ first: 5, count: 1 }],
    zero: [{ first: 6, count: 1 }],
  });
  expect(second.disks[0]).toMatchObject({ base: first.id, changedBytes: SEGMENT_SIZE, newBytes: SEGMENT_SIZE });
  expect(await checkAllPoints(world)).toBe(2);
});

test('content that the disk had at the same place is not stored again, though its bitmap is lost', async () => {
  const world = await newWorld(SEGMENTS);
  for (let i = 0; i < SEGMENTS; i++) world.guest.write(i, i + 1);
  const first = await world.backup();
  world.guest.loseBitmaps();
  const second = await world.backup();
  expect(second.disks[0]).toMatchObject({ fullReason: 'bitmap-missing', newBytes: 0, storedBytes: 0 });
  expect(second.disks[0]?.manifest).toBe(first.disks[0]?.manifest);
});

test('a segment that changed behind the bitmap is found by the audit, and everything is read again', async () => {
  const world = await newWorld(SEGMENTS);
  for (let i = 0; i < SEGMENTS; i++) world.guest.write(i, i + 1);
  await world.backup();
  world.guest.corrupt(7, 700);
  const point = await world.backup({ audit: true });
  expect(point.disks[0]).toMatchObject({ fullReason: 'bitmap-distrusted', changedBytes: SEGMENTS * SEGMENT_SIZE });
  await checkAllPoints(world);
});

test('an audit of what is clean finds nothing and stores nothing', async () => {
  const world = await newWorld(SEGMENTS);
  for (let i = 0; i < SEGMENTS; i++) world.guest.write(i, i + 1);
  await world.backup();
  const point = await world.backup({ audit: true });
  expect(point.disks[0]).toMatchObject({ newBytes: 0, assurance: { auditedSegments: SEGMENTS, auditFailures: 0 } });
});

import { expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { checkAllPoints, newWorld } from './world.ts';

const SEGMENTS = 24;

test('a process that dies after any of its writes loses nothing: the next backup is complete', async () => {
  const probe = await newWorld(SEGMENTS);
  for (let i = 0; i < SEGMENTS; i += 2) probe.guest.write(i, i + 1);
  await probe.backup();
  const writes = probe.writes();
  expect(writes).toBeGreaterThan(15);
  for (const does of ['crash-before', 'crash-after', 'fail', 'lose-answer', 'disk-full'] as const) {
    // Every write for a crash; every third for what a live process is told of.
    for (let call = 1; call <= writes; call += does.startsWith('crash') ? 1 : 3) {
      const world = await newWorld(SEGMENTS);
      for (let i = 0; i < SEGMENTS; i += 2) world.guest.write(i, i + 1);
      await world.backup({ faults: [{ on: 'write', call, does }] }).catch(() => undefined);
      world.guest.write(3, 77);
      world.guest.write(4, 0);
      const point = await world.backup();
      expect(point.disks[0]?.diskSize).toBe(SEGMENTS * SEGMENT_SIZE);
      await checkAllPoints(world);
    }
  }
}, 120_000);

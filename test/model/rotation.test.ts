import { expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { backedUp, checkAllPoints, type World } from './rotation-world.ts';

const pagesOf = async ({ memory }: World) => (await Array.fromAsync(memory.list('pages/'))).length;

test('after a rotation a backup is incremental, and what did not change stays where it was', async () => {
  const world = await backedUp();
  await world.rotate();
  world.guest.write(3, 100);
  const point = await world.backup();
  expect(point.disks[0]).toMatchObject({ base: expect.any(String), newBytes: SEGMENT_SIZE });
  expect(await checkAllPoints(world)).toBe(2);
  const pages = await pagesOf(world);
  await world.rotate();
  expect((await world.backup()).disks[0]?.newBytes).toBe(0);
  expect(await pagesOf(world)).toBe(pages);
});

test('a full read after a rotation stores everything anew, and the next one nothing', async () => {
  const world = await backedUp();
  await world.rotate();
  world.guest.loseBitmaps();
  expect((await world.backup()).disks[0]?.newBytes).toBe(12 * SEGMENT_SIZE);
  world.guest.loseBitmaps();
  expect((await world.backup()).disks[0]?.newBytes).toBe(0);
  expect(await checkAllPoints(world)).toBe(3);
});

test('clean segments of an older epoch are audited: right ones pass, a wrong one is found', async () => {
  const world = await backedUp();
  await world.rotate();
  world.guest.write(0, 50);
  const point = await world.backup({ audit: true });
  expect(point.disks[0]?.assurance).toEqual({ auditedSegments: 11, auditFailures: 0 });
  await world.rotate();
  world.guest.corrupt(5, 77);
  const again = await world.backup({ audit: true });
  expect(again.disks[0]?.fullReason).toBe('bitmap-distrusted');
  expect(await checkAllPoints(world)).toBe(3);
});

import { expect, test } from 'vitest';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { FunctionHost } from '../../functions/host/function-host.ts';
import { keysOf } from '../functions/vault/key-epochs/vaults.ts';
import { openInlineHost } from './inline-host.ts';
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

test('functions that were idle while the key was rotated write under the new one what comes next', async () => {
  const world = await backedUp();
  const functions = await world.open();
  const before = new Set(await keysOf(world.memory, ''));
  await world.rotate();
  world.guest.loseBitmaps();
  // A pack of the old epoch may have been condemned, and that been forgotten: nothing may be found in it.
  expect((await world.backup({ functions })).disks[0]?.newBytes).toBe(12 * SEGMENT_SIZE);
  const fresh = (await keysOf(world.memory, 'packs/')).filter((key) => !before.has(key));
  const epochs = await Promise.all(fresh.map(async (key) => (await world.memory.get(key)).readUInt32LE(8)));
  expect(epochs.length).toBeGreaterThan(1);
  expect(new Set(epochs)).toEqual(new Set([2]));
  expect(await checkAllPoints(world)).toBe(2);
});

test('a run that was staged before a rotation is processed and committed after it', async () => {
  const world = await backedUp();
  world.guest.write(2, 50);
  const late = await world.open();
  const host = openInlineHost(late);
  const rotating: FunctionHost = {
    ...host,
    async invoke(name, event) {
      // Before the first part, and before the commit.
      if (name === 'point-committer' || late.keyring.newest.epoch === 1) await world.rotate();
      return host.invoke(name, event);
    },
  };
  await world.backup({ host: rotating });
  expect(await checkAllPoints(world)).toBe(2);
  expect((await world.open()).journal.state().epochs).toHaveLength(3);
});

test('a part whose ids were made before a rotation that is noticed in between becomes a pack of their epoch', async () => {
  const world = await backedUp();
  world.guest.write(2, 50);
  let noticed = 0;
  const noticing: ObjectStore = {
    ...world.memory,
    get: async (key, range) => {
      const bytes = await world.memory.get(key, range);
      // The data of a part is about to be read: its keys are chosen.
      if (key.startsWith('staging/') && !key.endsWith('summary') && range !== undefined && range.start > 0) {
        if (noticed++ === 0) await world.rotate();
        await functions.journal.refresh();
      }
      return bytes;
    },
  };
  const functions = await world.open(noticing);
  await world.backup({ functions });
  expect(noticed).toBeGreaterThan(0);
  expect(await checkAllPoints(world)).toBe(2);
});

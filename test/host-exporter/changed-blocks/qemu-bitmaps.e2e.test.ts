import { expect, test } from 'vitest';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { assemble, planOf, segments } from './disk-model.ts';
import { useGuest } from './guest-fixture.ts';
import { bitmapsOf, blockdevArguments } from './running-qemu.ts';

const MIB = 1024 * 1024;
const guest = useGuest();

async function reasonOf(source: ChangedBlockSource, run: string) {
  const moment = await source.take(guest.points.request(run));
  await moment.end('abandoned');
  return planOf(moment, 'vda').plan.fullReason;
}

test('a run that was abandoned, or never ended, loses no change', async () => {
  const image = await guest.startWithDisk();
  const source = await guest.open();
  await guest.commit(source, 'r1');
  await guest.qemu.io('vda', 'write -P 0x22 0 4k');
  await (await source.take(guest.points.request('r2'))).end('abandoned');
  expect((await bitmapsOf(guest.qemu, image)).map(({ name }) => name)).toEqual(['ekko-r1']);

  await guest.qemu.io('vda', 'write -P 0x23 1M 4k');
  await source.take(guest.points.request('r3'));
  await source.close();

  const again = await guest.open();
  await guest.qemu.io('vda', 'write -P 0x24 2M 4k');
  const moment = await again.take(guest.points.request('r4'));
  const { plan } = planOf(moment, 'vda');
  expect(plan.base).toBe('r1');
  expect(segments(plan.data)).toEqual([0, 16, 32]);
  await moment.end('committed');
  expect((await bitmapsOf(guest.qemu, image)).map(({ name }) => name)).toEqual(['ekko-r4']);
});

test('a run committed to the vault whose end never came counts all the same: its own bitmap is the parent', async () => {
  await guest.startWithDisk();
  const source = await guest.open();
  await guest.commit(source, 'r1');
  await guest.qemu.io('vda', 'write -P 0x22 0 4k');
  guest.points.add('r2', (await source.take(guest.points.request('r2'))).plans);
  await source.close();
  await guest.qemu.io('vda', 'write -P 0x24 2M 4k');
  const { plan } = planOf(await (await guest.open()).take(guest.points.request('r3')), 'vda');
  expect(plan.base).toBe('r2');
  expect(segments(plan.data)).toEqual([32]);
});

test('a run tried again under the same id finds its own bitmap in the way and begins it anew', async () => {
  await guest.startWithDisk();
  const source = await guest.open();
  await guest.commit(source, 'r1');
  await source.take(guest.points.request('r2'));
  await source.close();
  await guest.qemu.io('vda', 'write -P 0x24 2M 4k');
  const { plan } = planOf(await (await guest.open()).take(guest.points.request('r2')), 'vda');
  expect(plan.base).toBe('r1');
  expect(segments(plan.data)).toEqual([32]);
});

test('what makes a bitmap unusable is said, and everything is read', async () => {
  const image = await guest.startWithDisk();
  const source = await guest.open();
  await guest.commit(source, 'r1');
  const node = { node: 'vda-format', name: 'ekko-r1' };
  const { control } = guest.qemu;

  expect((await reasonOf(source, 'x1')) ?? 'none').toBe('none');
  const askedFor = await source.take(guest.points.request('x2', { readAll: 'asked-for' }));
  expect(planOf(askedFor, 'vda').plan).toMatchObject({ base: undefined, fullReason: 'asked-for' });
  await askedFor.end('abandoned');

  await control.execute('block-dirty-bitmap-disable', node);
  expect(await reasonOf(source, 'x3')).toBe('bitmap-not-recording');
  await control.execute('block-dirty-bitmap-remove', node);
  expect(await reasonOf(source, 'x4')).toBe('bitmap-missing');
  await control.execute('block-dirty-bitmap-add', { ...node, persistent: true, granularity: 131_072 });
  expect(await reasonOf(source, 'x5')).toBe('bitmap-wrong-granularity');
  await control.execute('block-dirty-bitmap-add', { ...node, name: 'ekko-other', persistent: true });
  await control.execute('block-dirty-bitmap-remove', node);
  expect(await reasonOf(source, 'x6')).toBe('bitmap-parent-unknown');
  await guest.commit(source, 'r7');
  expect((await bitmapsOf(guest.qemu, image)).map(({ name }) => name)).toEqual(['ekko-r7']);
});

test('a resized disk is read in full', async () => {
  await guest.startWithDisk();
  const source = await guest.open();
  await guest.commit(source, 'r1');
  await guest.qemu.control.execute('block_resize', { 'node-name': 'vda-format', size: 6 * MIB });
  const moment = await source.take(guest.points.request('r2'));
  expect(planOf(moment, 'vda').plan).toMatchObject({ fullReason: 'disk-resized', disk: { size: 6 * MIB } });
  expect((await assemble(moment, 'vda')).length).toBe(6 * MIB);
});

test('bitmaps outlive a clean restart of the guest; a power cut makes the next run full, and its commit removes the dead', async () => {
  const image = await guest.startWithDisk();
  const first = await guest.open();
  await guest.commit(first, 'r1');
  await first.close();
  await guest.qemu.io('vda', 'write -P 0x22 0 4k');
  await guest.qemu.quit();
  await guest.start(blockdevArguments('vda', image, 'qcow2'));
  const second = await guest.open();
  const incremental = await second.take(guest.points.request('r2'));
  expect(planOf(incremental, 'vda').plan).toMatchObject({ base: 'r1', data: [{ first: 0, count: 1 }] });
  await incremental.end('abandoned');
  await second.close();
  await guest.qemu.kill();
  await guest.start(blockdevArguments('vda', image, 'qcow2'));
  expect(await bitmapsOf(guest.qemu, image)).toMatchObject([{ name: 'ekko-r1', inconsistent: true }]);
  const third = await guest.open();
  expect(await reasonOf(third, 'r3')).toBe('bitmap-inconsistent');
  await guest.commit(third, 'r4');
  expect((await bitmapsOf(guest.qemu, image)).map(({ name }) => name)).toEqual(['ekko-r4']);
});

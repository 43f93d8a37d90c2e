import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { assemble, planOf, readWhole, segments } from './disk-model.ts';
import { DISK_SIZE, useGuest } from './guest-fixture.ts';
import { bitmapsOf, blockdevArguments, qemuImg, qemuIo } from './running-qemu.ts';

const MIB = 1024 * 1024;
const guest = useGuest();

test('a first backup lists every segment, reads what is not zero, and shows the disk as it was at the moment', async () => {
  await guest.startWithDisk();
  await guest.qemu.io('vda', 'write -P 0xab 64k 128k');
  await guest.qemu.io('vda', `write -P 0xcd ${4 * MIB + 512} 512`);
  const moment = await (await guest.open()).take(guest.points.request('r1'));
  await guest.qemu.io('vda', 'write -P 0xff 0 256k');

  const { plan } = planOf(moment, 'vda');
  expect(plan).toMatchObject({ base: undefined, fullReason: 'first-backup', audit: [] });
  expect(plan.data).toEqual([
    { first: 1, count: 2 },
    { first: 64, count: 1 },
  ]);
  const expected = Buffer.alloc(DISK_SIZE);
  expected.fill(0xab, 65_536, 3 * 65_536).fill(0xcd, 4 * MIB + 512);
  expect((await assemble(moment, 'vda')).equals(expected)).toBe(true);
  expect(moment).toMatchObject({ consistency: 'crash', frozenMs: 0 });
  await moment.end('committed');
});

test('an incremental reads what changed since the committed point: zeroes are listed, not read; the old bitmap goes', async () => {
  const image = await guest.startWithDisk();
  const source = await guest.open();
  await guest.qemu.io('vda', 'write -P 0x11 0 1M');
  const first = await source.take(guest.points.request('r1'));
  const base = await readWhole(first, 'vda');
  guest.points.add('r1', first.plans);
  await first.end('committed');

  await guest.qemu.io('vda', 'write -P 0x22 128k 4k');
  await guest.qemu.io('vda', 'write -z -u 256k 128k');
  const second = await source.take(guest.points.request('r2'));
  await guest.qemu.io('vda', 'write -P 0x33 0 2M');
  const { plan } = planOf(second, 'vda');
  expect(plan).toMatchObject({ base: 'r1', fullReason: undefined, data: [{ first: 2, count: 1 }] });
  expect(plan.zero).toEqual([{ first: 4, count: 2 }]);
  expect((await assemble(second, 'vda', base)).equals(await readWhole(second, 'vda'))).toBe(true);
  guest.points.add('r2', second.plans);
  await second.end('committed');
  await second.end('committed');

  expect(await bitmapsOf(guest.qemu, image)).toMatchObject([{ name: 'ekko-r2', recording: true }]);
  expect(await readdir(guest.directory.scratch)).toEqual([]);
  expect(await guest.qemu.control.execute('query-jobs')).toEqual([]);
  expect(await guest.qemu.control.execute('query-block-exports')).toEqual([]);
});

test('several disks of all kinds share one moment', async () => {
  const [base, overlay, second, raw] = ['base.qcow2', 'over.qcow2', 'b.qcow2', 'c.raw'].map(guest.directory.file);
  if (!base || !overlay || !second || !raw) throw new Error('no paths');
  await qemuImg('create', '-q', '-f', 'qcow2', base, '4M');
  await qemuIo(base, 'write -P 0x40 0 1M');
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, overlay);
  await qemuImg('create', '-q', '-f', 'qcow2', second, '1000448');
  await qemuImg('create', '-q', '-f', 'raw', raw, '3M');
  await guest.start([
    ...blockdevArguments('vda', overlay, 'qcow2'),
    ...['-drive', `file=${second},if=virtio,id=drive-b,format=qcow2`],
    ...['-drive', `file=${raw},if=none,id=drive-c,format=raw`],
    ...['-device', 'virtio-scsi-pci', '-device', 'scsi-hd,drive=drive-c,serial=vol-c'],
    ...['-drive', 'if=none,id=cd,media=cdrom', '-device', 'scsi-cd,drive=cd'],
  ]);
  for (const device of ['vda', 'drive-b', 'drive-c']) await guest.qemu.io(device, 'write -P 0x41 64k 64k');
  const source = await guest.open();
  expect((await source.disks()).map(({ name, size }) => [name, size]).toSorted()).toEqual([
    ['drive-b', 1_000_448],
    ['vda', 4 * MIB],
    ['vol-c', 3 * MIB],
  ]);
  const first = await source.take(guest.points.request('r1'));
  guest.points.add('r1', first.plans);
  for (const device of ['vda', 'drive-b', 'drive-c']) await guest.qemu.io(device, 'write -P 0x42 64k 128k');
  for (const { disk } of first.plans) {
    const whole = await assemble(first, disk.name);
    expect([whole[65_536], whole[131_071]]).toEqual([0x41, 0x41]);
    expect(whole[131_072]).not.toBe(0x42);
  }
  await first.end('committed');

  const next = await source.take(guest.points.request('r2'));
  expect(planOf(next, 'vda').plan).toMatchObject({ base: 'r1', data: [{ first: 1, count: 2 }] });
  expect(planOf(next, 'drive-b').plan).toMatchObject({ base: 'r1', data: [{ first: 1, count: 2 }] });
  expect(planOf(next, 'vol-c').plan).toMatchObject({ base: undefined, fullReason: 'no-bitmap-support' });
  expect([...new Set((await readWhole(next, 'vda')).subarray(0, 4 * 65_536))]).toEqual([0x40, 0x42]);
});

test('disks can be chosen and named', async () => {
  await guest.startWithDisk();
  const source = await guest.open({ disks: [{ device: 'vda-format', name: 'root' }] });
  expect((await source.disks()).map(({ name }) => name)).toEqual(['root']);
  const wrong = openQemuSource({
    qmpSocket: 'none',
    scratchDirectory: guest.directory.scratch,
    stateDirectory: guest.directory.state,
  });
  await expect(wrong).rejects.toMatchObject({ code: 'qemu-failed' });
  await source.close();
  await expect((await guest.open({ disks: [{ device: 'vdz' }] })).disks()).rejects.toMatchObject({
    code: 'disk-unknown',
  });
});

test('a guest that dies during a moment: reads fail, the end succeeds and leaves no scratch file', async () => {
  await guest.startWithDisk();
  const moment = await (await guest.open()).take(guest.points.request('r1'));
  await guest.qemu.kill();
  await expect(readWhole(moment, 'vda')).rejects.toMatchObject({ code: 'qemu-failed' });
  await moment.end('committed');
  expect(await readdir(guest.directory.scratch)).toEqual([]);
});

test('two exporters at once: the second is told that the monitor is busy; so is a second moment', async () => {
  await guest.startWithDisk();
  const source = await guest.open();
  const moment = await source.take(guest.points.request('r1'));
  await expect(source.take(guest.points.request('r2'))).rejects.toMatchObject({ code: 'busy' });
  await expect(guest.open()).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining(guest.qemu.qmpSocket),
  });
  await moment.end('abandoned');
});

test("somebody else's NBD server is left alone", async () => {
  await guest.startWithDisk();
  const addr = { type: 'unix', data: { path: guest.directory.file('other') } };
  await guest.qemu.control.execute('nbd-server-start', { addr });
  const source = await guest.open();
  await expect(source.take(guest.points.request('r1'))).rejects.toMatchObject({ code: 'busy' });
  await guest.qemu.control.execute('nbd-server-stop');
  expect(await readdir(guest.directory.scratch)).toEqual([]);
  expect(await guest.qemu.control.execute('query-jobs')).toEqual([]);
  await guest.commit(source, 'r1');
});

test('the audit samples clean segments that are not zero', async () => {
  await guest.startWithDisk();
  await guest.qemu.io('vda', 'write -P 0x11 0 2M');
  const source = await guest.open({ mostAuditSegments: 8 });
  await guest.commit(source, 'r1');
  await guest.qemu.io('vda', 'write -P 0x12 64k 64k');
  const moment = await source.take(guest.points.request('r2', { auditShare: 1 }));
  const audit = segments(planOf(moment, 'vda').plan.audit);
  expect(audit).toHaveLength(8);
  expect(audit.every((segment) => segment !== 1 && segment < 32)).toBe(true);
});

test('reads that make no sense are refused', async () => {
  await guest.startWithDisk();
  const moment = await (await guest.open()).take(guest.points.request('r1'));
  const bytes = Buffer.alloc(65_536);
  await expect(moment.read(1, 0, 65_536, bytes)).rejects.toMatchObject({ code: 'disk-unknown' });
  await expect(moment.read(0, 1, 65_536, bytes)).rejects.toMatchObject({ code: 'bad-input' });
  await expect(moment.read(0, 0, 131_072, bytes)).rejects.toMatchObject({ code: 'bad-input' });
});

test.each([
  ['virtio-blk', ['-device', 'virtio-blk-pci,drive=d,id=vda,iothread=t']],
  ['virtio-scsi', ['-device', 'virtio-scsi-pci,id=s,iothread=t', '-device', 'scsi-hd,drive=d,bus=s.0,id=vda']],
])('a %s disk that an I/O thread serves is refused where QEMU would not survive it', async (_, device) => {
  const image = guest.directory.file('disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', image, '4M');
  const drive = ['-drive', `file=${image},if=none,id=d,format=qcow2`];
  await guest.start(['-object', 'iothread,id=t', ...drive, ...device]);
  const source = await guest.open();
  const taking = source.take(guest.points.request('r1')).then((moment) => moment.end('abandoned'));
  const { qemu: version } = (await guest.qemu.control.execute('query-version')) as {
    qemu: { major: number; minor: number };
  };
  if (version.major * 100 + version.minor >= 901) await taking;
  else
    await expect(taking).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('I/O thread') });
  expect(await guest.qemu.control.execute('query-status')).toMatchObject({ running: false });
});

import { copyFile, rename, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { imageName } from '#vault/images.ts';
import type { ChangedBlockSource, HeldMoment, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { assemble, createPoints, planOf, readWhole } from './disk-model.ts';
import {
  blockdevArguments,
  makeDirectory,
  qemuImg,
  qemuIo,
  type RunningQemu,
  startQemu,
  type TestDirectory,
} from './running-qemu.ts';

const MIB = 1024 * 1024;
const SEGMENT = 65_536;
/** No multiple of a segment; the disks are larger. */
const IMAGE_SIZE = 3 * MIB + 512;
const DISK_SIZE = 5 * MIB;

let directory: TestDirectory;
let qemu: RunningQemu | undefined;
const sources: ChangedBlockSource[] = [];

beforeEach(async () => {
  directory = await makeDirectory();
});

afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  await qemu?.kill();
  qemu = undefined;
  await directory.remove();
});

/** 1 MiB of 0x11, a hole, the last segment and what is left of 0x12. */
async function makeBase(format: 'raw' | 'qcow2'): Promise<string> {
  const base = directory.file(`base.${format}`);
  const plain = directory.file('plain.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', plain, String(IMAGE_SIZE));
  await qemuIo(plain, 'write -P 0x11 0 1M');
  await qemuIo(plain, `write -P 0x12 ${3 * MIB - SEGMENT} ${SEGMENT + 512}`);
  await qemuImg('convert', '-f', 'qcow2', '-O', format, plain, base);
  return base;
}

async function makeOverlay(base: string, name = 'over.qcow2'): Promise<string> {
  const overlay = directory.file(name);
  const format = base.endsWith('.raw') ? 'raw' : 'qcow2';
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', format, '-b', base, overlay, String(DISK_SIZE));
  return overlay;
}

async function openGuest(overlay: string): Promise<ChangedBlockSource> {
  qemu = await startQemu(directory, blockdevArguments('vda', overlay, 'qcow2'));
  const { scratch: scratchDirectory, state: stateDirectory } = directory;
  const { qmpSocket } = qemu;
  const source = await openQemuSource({ qmpSocket, scratchDirectory, stateDirectory, scratchLowWater: MIB });
  sources.push(source);
  return source;
}

/** A vault that has the image of that digest and size in the point `r0`. */
function having(digest: string, size = IMAGE_SIZE): Pick<MomentRequest, 'image'> {
  const known = { name: imageName(digest), point: 'r0', size, manifest: '' };
  return { image: (asked) => (asked === digest ? known : undefined) };
}

async function digestIn(source: ChangedBlockSource): Promise<string> {
  const [image, ...others] = (await source.images?.()) ?? [];
  expect(others).toEqual([]);
  expect(image).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
  return image?.digest ?? '';
}

function imageContent(): Buffer {
  const content = Buffer.alloc(DISK_SIZE);
  return content.fill(0x11, 0, MIB).fill(0x12, 3 * MIB - SEGMENT, IMAGE_SIZE);
}

/** What is listed, laid over the image, is the disk. */
async function expectWhole(moment: HeldMoment, name = 'vda'): Promise<Buffer> {
  const whole = await readWhole(moment, name);
  expect((await assemble(moment, name, imageContent())).equals(whole)).toBe(true);
  return whole;
}

const { request } = createPoints();

test.each(['raw', 'qcow2'] as const)(
  'of a disk on a %s image that the vault has only what its overlay holds is read, zeros over the image listed',
  async (format) => {
    const source = await openGuest(await makeOverlay(await makeBase(format)));
    const digest = await digestIn(source);
    await qemu?.io('vda', 'write -P 0x21 64k 4k');
    await qemu?.io('vda', 'write -z 256k 128k');
    await qemu?.io('vda', 'discard 512k 64k');
    await qemu?.io('vda', 'write -P 0x22 4M 64k');
    const moment = await source.take(request('r1', having(digest)));
    await qemu?.io('vda', 'write -P 0xff 0 5M');
    const { plan } = planOf(moment, 'vda');
    expect(plan).toMatchObject({ base: 'r0', baseDisk: imageName(digest), fullReason: 'first-backup' });
    expect(plan.data).toEqual([
      { first: 1, count: 1 },
      { first: 64, count: 1 },
    ]);
    const whole = await expectWhole(moment);
    expect([whole[65_536], whole[70_000], whole[256 * 1024], whole[4 * MIB]]).toEqual([0x21, 0x11, 0, 0x22]);
    expect(await qemu?.control.execute('query-block-exports')).toHaveLength(1);
    await moment.end('committed');
  },
);

test('snapshots between a disk and its image belong to the disk', async () => {
  const base = await makeBase('raw');
  const lower = await makeOverlay(base, 'lower.qcow2');
  await qemuIo(lower, 'write -P 0x31 128k 64k');
  const upper = directory.file('upper.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', lower, upper);
  const source = await openGuest(upper);
  await qemu?.io('vda', 'write -P 0x32 320k 64k');
  const moment = await source.take(request('r1', having(await digestIn(source))));
  expect(planOf(moment, 'vda').plan.data).toEqual([
    { first: 2, count: 1 },
    { first: 5, count: 1 },
  ]);
  await expectWhole(moment);
});

test('the next backup counts from the bitmap as ever; one that is lost costs what the overlay holds', async () => {
  const source = await openGuest(await makeOverlay(await makeBase('raw')));
  const image = having(await digestIn(source));
  const points = createPoints();
  const first = await source.take(points.request('r1', image));
  points.add('r1', first.plans);
  await first.end('committed');
  await qemu?.io('vda', 'write -P 0x41 64k 64k');
  const second = await source.take(points.request('r2', image));
  expect(planOf(second, 'vda').plan).toMatchObject({
    base: 'r1',
    fullReason: undefined,
    data: [{ first: 1, count: 1 }],
  });
  expect(planOf(second, 'vda').plan).not.toHaveProperty('baseDisk');
  await second.end('abandoned');
  await qemu?.control.execute('block-dirty-bitmap-remove', { node: 'vda-format', name: 'ekko-r1' });
  const third = await source.take(points.request('r3', image));
  expect(planOf(third, 'vda').plan).toMatchObject({
    base: 'r0',
    fullReason: 'bitmap-missing',
    data: [{ first: 1, count: 1 }],
  });
  await expectWhole(third);
});

test('everything is read where the vault lacks the image, has it in another size, or is asked to', async () => {
  const source = await openGuest(await makeOverlay(await makeBase('raw')));
  const digest = await digestIn(source);
  const whys: Partial<MomentRequest>[] = [
    {},
    having('0'.repeat(64)),
    having(digest, MIB),
    { ...having(digest), readAll: 'asked-for' },
    { ...having(digest), readAll: 'bitmap-distrusted' },
  ];
  for (const [at, why] of whys.entries()) {
    const moment = await source.take(request(`r${at}`, why));
    const { plan } = planOf(moment, 'vda');
    expect(plan).toMatchObject({ base: undefined });
    expect((await assemble(moment, 'vda')).equals(imageContent())).toBe(true);
    await moment.end('abandoned');
  }
});

test('a disk is not planned on a file that has replaced its image, however alike they are', async () => {
  const base = await makeBase('raw');
  const twin = directory.file('twin.raw');
  await copyFile(base, twin);
  const source = await openGuest(await makeOverlay(base));
  const digest = await digestIn(source);
  await rename(twin, base);
  expect(await digestIn(source)).toBe(digest);
  const moment = await source.take(request('r1', having(digest)));
  expect(planOf(moment, 'vda').plan).toMatchObject({ base: undefined, fullReason: 'first-backup' });
});

test('an image whose times have changed is read again, and counts', async () => {
  const base = await makeBase('raw');
  const source = await openGuest(await makeOverlay(base));
  const digest = await digestIn(source);
  await utimes(base, 1, 1);
  const moment = await source.take(request('r1', having(digest)));
  expect(planOf(moment, 'vda').plan.base).toBe('r0');
});

test('segments of the image are audited, and nothing of what lies behind it', async () => {
  const source = await openGuest(await makeOverlay(await makeBase('raw')));
  await qemu?.io('vda', 'write -P 0x51 0 64k');
  const moment = await source.take(request('r1', { ...having(await digestIn(source)), auditShare: 1 }));
  expect(planOf(moment, 'vda').plan.audit).toEqual([
    { first: 1, count: 15 },
    { first: 47, count: 2 },
  ]);
});

test('overlay files that no guest uses are planned on their image, too', async () => {
  const base = await makeBase('qcow2');
  const overlay = await makeOverlay(base);
  await qemuIo(overlay, 'write -P 0x61 128k 64k');
  await qemuIo(overlay, 'write -z 0 64k');
  const source = await openFileSource([{ path: overlay, name: 'vda', format: 'qcow2' }]);
  sources.push(source);
  const moment = await source.take(request('r1', having(await digestIn(source))));
  expect(planOf(moment, 'vda').plan).toMatchObject({
    base: 'r0',
    data: [{ first: 2, count: 1 }],
    zero: [{ first: 0, count: 1 }],
  });
  await expectWhole(moment);
});

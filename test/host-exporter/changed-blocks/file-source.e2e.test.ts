import { execFile } from 'node:child_process';
import { open, truncate, utimes, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import type { FileChoice } from '../../../host-exporter/changed-blocks/find-file.ts';
import { assemble, createPoints, readWhole } from './disk-model.ts';
import { blockdevArguments, makeDirectory, qemuImg, qemuIo, startQemu, type TestDirectory } from './running-qemu.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const { request } = createPoints();

let directory: TestDirectory;
const sources: ChangedBlockSource[] = [];

beforeEach(async () => {
  directory = await makeDirectory();
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const source of sources.splice(0)) await source.close();
  await directory.remove();
});

async function openSource(...choices: readonly FileChoice[]): Promise<ChangedBlockSource> {
  const source = await openFileSource(choices);
  sources.push(source);
  return source;
}

async function rawFile(name: string, size: number): Promise<string> {
  const path = directory.file(name);
  await writeFile(path, '');
  await truncate(path, size);
  return path;
}

async function writeAt(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

test('a sparse file of 1 TiB is planned at once', async () => {
  const path = await rawFile('big.raw', 1024 ** 4);
  await writeAt(path, 1024 ** 3, Buffer.alloc(4096, 1));
  await writeAt(path, 1024 ** 4 - 1, Buffer.alloc(1, 2));
  const source = await openSource({ path });
  const began = performance.now();
  const moment = await source.take(request('r1'));
  expect(performance.now() - began).toBeLessThan(1000);
  expect(moment.plans[0]?.data).toEqual([
    { first: 16_384, count: 1 },
    { first: 16_777_215, count: 1 },
  ]);
  expect(moment.plans[0]?.zero).toHaveLength(2);
});

test('without qemu-img a raw file is read in full', async () => {
  const path = await rawFile('disk.raw', MIB + 1);
  vi.stubEnv('PATH', directory.path);
  const moment = await (await openSource({ path })).take(request('r1'));
  expect(moment.plans).toMatchObject([{ data: [{ first: 0, count: 17 }], zero: [], disk: { size: MIB + 1 } }]);
});

test('an image that a running QEMU writes is busy, raw or qcow2', async () => {
  const [raw, qcow2] = [await rawFile('a.raw', MIB), directory.file('b.qcow2')];
  await qemuImg('create', '-q', '-f', 'qcow2', qcow2, '1M');
  const qemu = await startQemu(directory, [
    ...blockdevArguments('vda', raw, 'raw'),
    ...blockdevArguments('vdb', qcow2, 'qcow2'),
  ]);
  try {
    for (const path of [raw, qcow2]) {
      const source = await openSource({ path });
      const refusal = { code: 'busy', message: expect.stringContaining('--qmp') };
      await expect(source.take(request('r1'))).rejects.toMatchObject(refusal);
    }
  } finally {
    await qemu.kill();
  }
});

test('a raw file that is written to during the export is not passed off as one moment', async () => {
  const path = await rawFile('disk.raw', MIB);
  const moment = await (await openSource({ path })).take(request('r1'));
  await readWhole(moment, 'disk');
  await writeAt(path, 0, Buffer.alloc(1, 1));
  await expect(readWhole(moment, 'disk')).rejects.toMatchObject({ code: 'busy' });
});

test('a raw file whose content is checked later may be touched while it is read, and may not end early', async () => {
  const path = await rawFile('image.raw', MIB);
  const moment = await (await openSource({ path, checkedLater: true })).take(request('r1'));
  await utimes(path, new Date(), new Date());
  expect((await readWhole(moment, 'image')).equals(Buffer.alloc(MIB))).toBe(true);
  await truncate(path, MIB / 2);
  await expect(readWhole(moment, 'image')).rejects.toMatchObject({ code: 'busy' });
});

test('a header that names another file is not followed unless the format is given', async () => {
  const [base, overlay] = [directory.file('base.qcow2'), directory.file('over.qcow2')];
  await qemuImg('create', '-q', '-f', 'qcow2', base, '1M');
  await qemuIo(base, 'write -P 0x21 0 64k');
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, overlay);
  await expect(openFileSource([{ path: overlay }])).rejects.toMatchObject({ code: 'bad-input' });

  const asQcow2 = await (await openSource({ path: overlay, format: 'qcow2' })).take(request('r1'));
  expect((await assemble(asQcow2, 'over'))[0]).toBe(0x21);
  const asRaw = await (await openSource({ path: overlay, format: 'raw' })).take(request('r1'));
  expect((await assemble(asRaw, 'over')).subarray(0, 3).toString()).toBe('QFI');
});

test('what is no disk is refused, and so is one name twice', async () => {
  const path = await rawFile('disk.raw', MIB);
  await expect(openFileSource([{ path: directory.file('none') }])).rejects.toMatchObject({ code: 'disk-unknown' });
  await expect(openFileSource([{ path: directory.path }])).rejects.toMatchObject({ code: 'bad-input' });
  await expect(openFileSource([{ path: await rawFile('empty', 0) }])).rejects.toMatchObject({ code: 'bad-input' });
  await expect(openFileSource([{ path }, { path }])).rejects.toMatchObject({ code: 'bad-input' });
  await expect(openFileSource([{ path, format: 'qcow2' }])).rejects.toMatchObject({ code: 'bad-format' });
});

test('a block device has the size that the kernel says', async ({ skip }) => {
  const path = await rawFile('disk.raw', 2 * MIB);
  await writeAt(path, MIB, Buffer.alloc(512, 7));
  const device = await run('losetup', ['-f', '--show', path]).then(
    ({ stdout }) => stdout.trim(),
    () => skip('no loop devices here'),
  );
  try {
    const source = await openSource({ path: device, name: 'volume' });
    expect(await source.disks()).toEqual([{ name: 'volume', size: 2 * MIB, origin: device }]);
    const moment = await source.take(request('r1'));
    expect((await assemble(moment, 'volume'))[MIB]).toBe(7);
    // Its zeros are found by who reads it here.
    expect(moment.place?.(0)).toBeUndefined();
    await moment.end('committed');
  } finally {
    await run('losetup', ['-d', device]);
  }
});

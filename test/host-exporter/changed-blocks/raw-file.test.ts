import { fstatSync, readSync } from 'node:fs';
import { open, truncate, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { type SourceRig, testChangedBlockSource } from '../../conformance/changed-block-source.ts';
import { lacks } from '../../setup/cache.ts';
import { createPoints } from './disk-model.ts';
import { makeDirectory } from './running-qemu.ts';

const SIZE = 1024 * 1024 + 512;

async function rawRig(): Promise<SourceRig> {
  const directory = await makeDirectory();
  const path = directory.file('disk.raw');
  await writeFile(path, '');
  await truncate(path, SIZE);
  return {
    source: await openFileSource([{ path }]),
    diskName: 'disk',
    size: SIZE,
    fill: (offset, length, byte) => fillFile(path, offset, length, byte),
    remove: directory.remove,
  };
}

async function fillFile(path: string, offset: number, length: number, byte: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(length, byte), 0, length, offset);
  await file.close();
}

testChangedBlockSource('raw file', rawRig);

test.skipIf(lacks('qemu'))('where a raw file lies is told for as long as its moment is held', async () => {
  const { source, fill, remove } = await rawRig();
  await fill(0, 65_536, 7);
  const moment = await source.take(createPoints().request('r1'));
  const place = moment.place?.(0) ?? expect.fail('no place');
  expect(place).toMatchObject({ path: moment.plans[0]?.disk.origin, size: SIZE });
  const [read, placed] = [Buffer.alloc(65_536), Buffer.alloc(65_536)];
  await moment.read(0, 0, 65_536, read);
  readSync(place.descriptor, placed, 0, 65_536, 0);
  expect(placed.equals(read) && placed.every((byte) => byte === 7)).toBe(true);
  expect(place.version).toBe(fstatSync(place.descriptor, { bigint: true }).mtimeNs);
  await moment.end('abandoned');
  expect(() => fstatSync(place.descriptor)).toThrow('EBADF');
  await source.close();
  await remove();
});

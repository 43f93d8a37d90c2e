import { open, truncate, writeFile } from 'node:fs/promises';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { type SourceRig, testChangedBlockSource } from '../../conformance/changed-block-source.ts';
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

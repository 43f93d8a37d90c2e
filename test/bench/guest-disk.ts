import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blockdevArguments, startQemu } from '../host-exporter/changed-blocks/running-qemu.ts';
import { keepTrack, outputOf } from './process.ts';
import type { RandomWrite } from './random-writes.ts';

/** A raw image as the qcow2 disk of a running QEMU. No guest runs; writes go through its block layer as a guest's would. */
export interface GuestDisk {
  readonly qmpSocket: string;
  write(writes: readonly RandomWrite[]): Promise<void>;
  /** Ends QEMU and removes the disk. */
  end(): Promise<void>;
}

const DEVICE = 'disk0';

export async function openGuestDisk(folder: string, rawImage: string): Promise<GuestDisk> {
  await mkdir(folder);
  const disk = join(folder, 'disk.qcow2');
  await outputOf('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-W', rawImage, disk);
  const remove = () => rm(folder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const directory = { path: folder, scratch: file('scratch'), state: file('state'), file, remove };
  const qemu = await startQemu(directory, blockdevArguments(DEVICE, disk, 'qcow2'));
  keepTrack(qemu.child);

  async function write(writes: readonly RandomWrite[]): Promise<void> {
    const pattern = join(folder, 'pattern');
    for (const { offset, bytes } of writes) {
      await writeFile(pattern, bytes);
      await qemu.io(DEVICE, `write -s ${pattern} ${offset} ${bytes.length}`);
    }
  }

  async function end(): Promise<void> {
    await qemu.quit();
    await remove();
  }

  return { qmpSocket: qemu.qmpSocket, write, end };
}

import { join } from 'node:path';
import type { GuestImage } from './build-guest.ts';
import { runTool } from './run-tool.ts';
import type { GuestDisk } from './start-guest.ts';

/** Makes the two disks of a fresh guest in `directory`: a qcow2 overlay on the base image, and a plain qcow2 with an ext4. */
export async function createDisks(image: GuestImage, directory: string): Promise<[root: GuestDisk, data: GuestDisk]> {
  const root = join(directory, 'root.qcow2');
  const data = join(directory, 'data.qcow2');
  await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image.base, root]);
  await runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', image.data, data]);
  return [
    { path: root, format: 'qcow2' },
    { path: data, format: 'qcow2' },
  ];
}

import { copyFile, glob, mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { levelTimes } from './file-system.ts';
import { runTool } from './run-tool.ts';

// In this order: virtio_ring comes before virtio in Debian's kernel. What a kernel has built in has no file and is passed over.
const drivers = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'crc16',
  'mbcache',
  'jbd2',
  'ext4',
];

/** What the initramfs is made of, as paths. */
export interface InitramfsParts {
  readonly busybox: string;
  /** A folder with the kernel's modules somewhere below it. */
  readonly modules: string;
  readonly init: string;
}

/** Writes the initramfs `file`, by way of the folder `work`, which must not exist yet. */
export async function makeInitramfs(parts: InitramfsParts, work: string, file: string): Promise<void> {
  await Promise.all(['bin', 'dev', 'root', 'modules'].map((name) => mkdir(join(work, name), { recursive: true })));
  await copyFile(parts.busybox, join(work, 'bin', 'busybox'));
  await copyFile(parts.init, join(work, 'init'));
  await writeFile(join(work, 'modules', 'order'), await copyDrivers(parts.modules, join(work, 'modules')));
  await runTool('chmod', ['755', join(work, 'init'), join(work, 'bin', 'busybox')]);
  await levelTimes(work);
  const pack = 'cd "$1" && find . | sort | cpio --quiet --reproducible -R 0:0 -o -H newc > "$2"';
  await runTool('sh', ['-c', pack, 'sh', work, file]);
}

async function copyDrivers(modules: string, to: string): Promise<string> {
  const found = new Map<string, string>();
  for await (const path of glob(`**/{${drivers.join(',')}}.ko`, { cwd: modules })) {
    found.set(basename(path, '.ko'), join(modules, path));
  }
  const order = drivers.filter((name) => found.has(name));
  await Promise.all(order.map((name) => copyFile(found.get(name) ?? '', join(to, `${name}.ko`))));
  return `${order.join('\n')}\n`;
}

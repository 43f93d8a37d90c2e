import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { cache } from '../setup/cache.ts';
import { makeFileSystem } from './file-system.ts';
import { makeInitramfs } from './initramfs.ts';
import { runTool } from './run-tool.ts';

/** Files of a guest that boots; all read-only for those who use them. */
export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
  /** Raw image with the root file system: 512 MiB with about 45 MiB of files. Make overlays on it, never write to it. */
  readonly base: string;
  /** Raw image with an ext4 of 256 MiB with about 20 MiB of files. Copy it. */
  readonly data: string;
}

// Fixed, so that the file systems come out alike on every machine.
const rootUuid = '2c5b7c1e-6a52-4d33-9a0e-0d5a1f6e0001';
const dataUuid = '2c5b7c1e-6a52-4d33-9a0e-0d5a1f6e0002';
const init = join(import.meta.dirname, 'init');

/**
 * Builds the test guest from the Debian packages that `.setup/prepare.mjs` unpacked into `packages`. Keeps it under `directory`
 * and builds again only when a package or a script of the guest changes. Safe to call from several processes at once.
 */
export async function buildGuest(directory = cache, packages = join(cache, 'packages')): Promise<GuestImage> {
  const finished = join(directory, `guest-${await fingerprint(packages)}`);
  if (!existsSync(finished)) await buildInto(finished, directory, packages);
  return filesIn(finished);
}

function filesIn(folder: string): GuestImage {
  const file = (name: string): string => join(folder, name);
  return { kernel: file('vmlinuz'), initrd: file('initrd'), base: file('base.raw'), data: file('data.raw') };
}

async function fingerprint(packages: string): Promise<string> {
  const hash = createHash('sha256');
  const sources = ['build-guest.ts', 'file-system.ts', 'initramfs.ts', 'init/initramfs.sh', 'init/guest.sh'];
  for (const name of sources) hash.update(await readFile(join(import.meta.dirname, name)));
  hash.update(await readFile(join(packages, 'names.txt')));
  return hash.digest('hex').slice(0, 16);
}

async function buildInto(finished: string, directory: string, packages: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(join(directory, 'building-'));
  try {
    const image = join(work, 'image');
    await mkdir(image);
    await buildFiles(filesIn(image), packages, work);
    await rename(image, finished).catch((cause: unknown) => {
      // Another process was faster; its guest is as good.
      if (!existsSync(finished)) throw cause;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function buildFiles(image: GuestImage, packages: string, work: string): Promise<void> {
  const kernel = join(packages, 'kernel');
  const files = join(packages, 'files');
  const busybox = join(files, 'bin', 'busybox');
  await cp(await findKernel(join(kernel, 'boot')), image.kernel);
  const parts = { busybox, modules: join(kernel, 'lib', 'modules'), init: join(init, 'initramfs.sh') };
  await makeInitramfs(parts, join(work, 'initramfs'), image.initrd);
  const root = join(work, 'root');
  await layOutRoot(root, files, image.kernel);
  await makeFileSystem(image.base, root, 512, rootUuid);
  const data = join(work, 'data');
  await cp(join(files, 'usr'), data, { recursive: true, verbatimSymlinks: true });
  await makeFileSystem(image.data, data, 256, dataUuid);
}

async function findKernel(boot: string): Promise<string> {
  const name = (await readdir(boot)).find((entry) => entry.startsWith('vmlinuz'));
  if (name === undefined) throw new Error(`No kernel in ${boot}`);
  return join(boot, name);
}

async function layOutRoot(root: string, files: string, kernel: string): Promise<void> {
  // The link in the linker's package is absolute: taken literally it stays right within the guest.
  await cp(files, root, { recursive: true, verbatimSymlinks: true });
  const folders = ['dev', 'proc', 'sys', 'run', 'mnt', 'root', 'boot', 'sbin', 'tmp'];
  await Promise.all(folders.map((name) => mkdir(join(root, name), { recursive: true })));
  await cp(kernel, join(root, 'boot', 'vmlinuz'));
  await cp(join(init, 'guest.sh'), join(root, 'sbin', 'init'));
  await runTool('chmod', ['755', join(root, 'sbin', 'init')]);
  const applets = (await runTool(join(root, 'bin', 'busybox'), ['--list'])).split('\n');
  const missing = applets.filter((name) => name !== '' && name !== 'busybox' && name !== 'init');
  await Promise.all(missing.map((name) => symlink('busybox', join(root, 'bin', name))));
}

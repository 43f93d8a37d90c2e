import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDebian, known, updateLists } from './debian-packages.mjs';
import { run, step } from './run-step.mjs';

const kernelPackage = 'linux-image-cloud-amd64';
// The guest agent with the libraries that it loads, and the shell: they make up the guest's root disk.
const filePackages = [
  'busybox-static',
  'qemu-guest-agent',
  ...['libc6', 'libglib2.0-0', 'libnuma1', 'libpcre2-8-0', 'libudev1', 'liburing2'],
];

/**
 * Unpacks a kernel and the files of the test guest into `cache`/packages, without installing them: a kernel installed here would
 * bring boot loader hooks along. Needs no root as long as the package lists are there. Returns why it could not, or undefined.
 */
export async function prepareGuestPackages(cache) {
  const finished = join(cache, 'packages');
  if (existsSync(join(finished, 'names.txt'))) return undefined;
  if (!isDebian('12') || process.arch !== 'x64')
    return 'its kernel is made from packages of Debian 12 on x86-64, which this is not';
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await step('kernel and files of the test guest', () => unpackInto(work));
    await rm(finished, { recursive: true, force: true });
    await rename(join(work, 'packages'), finished);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return undefined;
}

async function unpackInto(work) {
  await downloadInto(work).catch(async () => {
    await updateLists();
    await downloadInto(work);
  });
  const files = (await readdir(work)).filter((name) => name.endsWith('.deb')).sort();
  for (const file of files) {
    const place = file.startsWith('linux-image') ? 'kernel' : 'files';
    await mkdir(join(work, 'packages', place), { recursive: true });
    await run('dpkg-deb', ['-x', join(work, file), join(work, 'packages', place)]);
  }
  await writeFile(join(work, 'packages', 'names.txt'), `${files.join('\n')}\n`);
}

async function downloadInto(work) {
  if (!(await known([kernelPackage, ...filePackages]))) await updateLists();
  const [, kernel] = /Depends: (linux-image-\S+)/.exec(await run('apt-cache', ['depends', kernelPackage])) ?? [];
  await run('apt-get', ['download', '-q', kernel, ...filePackages], { cwd: work });
}

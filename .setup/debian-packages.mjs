import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { environment, PlainError, run, step } from './run-step.mjs';

/** Programs that Ekko's demo and tests call, and the Debian packages that bring them. */
const programs = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
  cpio: 'cpio',
  'mkfs.ext4': 'e2fsprogs',
  restic: 'restic',
  borg: 'borgbackup',
  nbdcopy: 'libnbd-bin',
};

/** What a test may need, and the programs that it then calls. */
export const needs = {
  qemu: ['qemu-system-x86_64', 'qemu-img', 'qemu-storage-daemon'],
  guest: ['qemu-system-x86_64', 'qemu-img', 'qemu-storage-daemon', 'cpio', 'mkfs.ext4'],
  restic: ['restic'],
  borg: ['borg'],
  nbdcopy: ['nbdcopy'],
};

/** Installs what is missing of the needs; returns why it could not, or undefined. */
export async function prepareDebianPackages(wanted) {
  const packages = [...new Set(missingPrograms(wanted).map((program) => programs[program]))];
  if (packages.length === 0) return undefined;
  if (!isDebian()) return `${packages.join(' ')}: to be installed by hand, this is not Debian`;
  if (process.getuid() !== 0) return `not installed, and only root can: apt-get install ${packages.join(' ')}`;
  await step(`Debian packages ${packages.join(' ')}`, () => install(packages));
  return undefined;
}

export function missingPrograms(wanted) {
  return [...new Set(wanted.flatMap((need) => needs[need]))].filter((program) => !onPath(program));
}

function onPath(program) {
  return environment.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** True on Debian and its children; `release`, if given, must be its version too. */
export function isDebian(release) {
  const { ID, ID_LIKE = '', VERSION_ID } = osRelease();
  if (!onPath('apt-get')) return false;
  if (release !== undefined) return ID === 'debian' && VERSION_ID === release;
  return ID === 'debian' || ID_LIKE.split(' ').includes('debian');
}

function osRelease() {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
    return Object.fromEntries(Array.from(lines, ([, key, value]) => [key, value]));
  } catch {
    return {};
  }
}

async function install(packages) {
  const args = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...packages];
  if (!(await known(packages))) await updateLists();
  try {
    await run('apt-get', args);
  } catch {
    // Lists that have aged name files that are gone.
    await updateLists();
    await run('apt-get', args);
  }
}

/** True when the package lists of this machine know all of these. */
export async function known(packages) {
  const policy = await run('apt-cache', ['policy', ...packages]);
  return [...policy.matchAll(/^ {2}Candidate: (?!\(none\))/gm)].length === packages.length;
}

export async function updateLists() {
  if (process.getuid() !== 0)
    throw new PlainError('the package lists are missing or old, and only root can run apt-get update');
  await run('apt-get', ['update', '-q', '-o', 'DPkg::Lock::Timeout=120']);
}

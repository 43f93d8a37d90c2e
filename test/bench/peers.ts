import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bytesIn } from './disk-usage.ts';
import { type Measured, measure, outputOf } from './process.ts';
import type { Peer, Repository } from './repository.ts';

const PASSWORD = 'a password for the bench';

/** restic with its defaults. */
export async function findRestic(): Promise<Peer | undefined> {
  const version = await versionOf('restic', 'version');
  return version === undefined ? undefined : { name: 'restic', version, create: createRestic };
}

/** borg as one would set it up for images: fixed chunks of 4 MiB, zstd 3, encrypted. */
export async function findBorg(): Promise<Peer | undefined> {
  const version = await versionOf('borg', '--version');
  return version === undefined ? undefined : { name: 'borg', version, create: createBorg };
}

/** The first two words of what a program says of its version; undefined where it is not installed. */
export async function versionOf(program: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    const [line = ''] = (await outputOf(program, ...args)).split('\n');
    return /^\S+ (?:version )?[\d.]+/.exec(line)?.[0] ?? line;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function createRestic(folder: string): Promise<Repository> {
  await mkdir(folder);
  const password = join(folder, 'password');
  await writeFile(password, PASSWORD);
  const repository = join(folder, 'repository');
  const env = {
    ...homeIn(folder),
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD_FILE: password,
    RESTIC_CACHE_DIR: join(folder, 'cache'),
  };
  const restic = (...args: readonly string[]) => measure({ program: 'restic', args, env, cwd: folder });
  await restic('init');
  return {
    ...{ name: 'restic', folder },
    backUp: (label, image) => restic('backup', '--tag', label, image),
    restore: (label, image, target) =>
      at(join(target, image), restic('restore', 'latest', '--tag', label, '--target', target)),
    stored: () => bytesIn(repository),
    remove: () => rm(folder, { recursive: true }),
  };
}

async function createBorg(folder: string): Promise<Repository> {
  await mkdir(folder);
  const repository = join(folder, 'repository');
  const env = {
    ...homeIn(folder),
    BORG_BASE_DIR: folder,
    BORG_REPO: repository,
    BORG_PASSPHRASE: PASSWORD,
  };
  const borg = (cwd: string, ...args: readonly string[]) => measure({ program: 'borg', args, env, cwd });
  const creating = ['create', '--chunker-params', 'fixed,4194304', '-C', 'zstd,3'];
  await borg(folder, 'init', '-e', 'repokey-blake2');
  return {
    ...{ name: 'borg', folder },
    backUp: (label, image) => borg(dirname(image), ...creating, `::${label}`, basename(image)),
    // Ekko leaves holes for zeros as well.
    restore: (label, image, target) =>
      at(join(target, basename(image)), borg(target, 'extract', '--sparse', `::${label}`)),
    stored: () => bytesIn(repository),
    remove: () => rm(folder, { recursive: true }),
  };
}

/** Nothing is left behind outside the folder, and temporary files are in the same file system. */
function homeIn(folder: string): Readonly<Record<string, string>> {
  return { HOME: folder, TMPDIR: folder };
}

async function at(file: string, measuring: Promise<Measured>): Promise<Measured & { readonly file: string }> {
  return { ...(await measuring), file };
}

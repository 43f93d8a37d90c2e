import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, realpath, rmdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { EkkoError } from '../errors.ts';
import { systemCodeOf, tolerate } from './system-errors.ts';

/** Bounds the memory of what is known; a vault has about a thousand folders besides those of its runs. */
const MOST_KNOWN = 10_000;

/** The folders below a directory. Paths are absolute; errors are the system's, and `store-failed` for a symbolic link. */
export interface Folders {
  /** Makes the folder and its parents. May answer from memory: then a later ENOENT is to be followed by `forget` and another try. */
  make(path: string): Promise<void>;
  /** Throws `store-failed` when the way to the folder leads over a symbolic link, ENOENT when there is none. */
  check(path: string): Promise<void>;
  /** Makes the folder's names survive a crash of the host, and the folder's own name, up to the mount point. */
  flush(path: string): Promise<void>;
  /** Removes the folder and its parents as far as they are empty. Never fails. */
  prune(path: string): Promise<void>;
  forget(path: string): void;
}

export function openFolders(root: string): Folders {
  const known = new Set<string>();
  const flushed = new Map<string, string>();

  async function check(path: string): Promise<void> {
    if (known.has(path)) return;
    const [base, found] = await Promise.all([realpath(root), realpath(path)]);
    if (relative(base, found) !== relative(root, path)) {
      throw new EkkoError('store-failed', `${path} leads over a symbolic link to ${found}. ${NO_LINKS}`);
    }
    if (known.size >= MOST_KNOWN) known.clear();
    known.add(path);
  }

  async function flush(path: string, device?: bigint): Promise<void> {
    const folder = await openFolder(path, path.startsWith(root));
    if (folder === undefined) return;
    try {
      const { dev, ino, birthtimeNs } = await folder.stat({ bigint: true });
      if (device !== undefined && dev !== device) return;
      await tolerate(folder.sync(), 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP');
      // The identity, not the path: another process may have pruned the folder and made it anew.
      const identity = `${dev}:${ino}:${birthtimeNs}`;
      if (flushed.get(path) === identity) return;
      if (dirname(path) !== path) await flush(dirname(path), dev);
      if (flushed.size >= MOST_KNOWN) flushed.clear();
      flushed.set(path, identity);
    } finally {
      await folder.close();
    }
  }

  return {
    check,
    flush: (path) => flush(path),
    forget: (path) => known.delete(path),
    async make(path) {
      if (known.has(path)) return;
      await mkdir(path, { recursive: true });
      await check(path);
    },
    async prune(path) {
      for (let at = path; at !== root && (await removed(at)); at = dirname(at)) known.delete(at);
    },
  };
}

const NO_LINKS = 'Links are not followed inside a vault: move the folder itself there, or mount it';

/** ENOENT: what was written has been removed since, and its folder with it. */
async function openFolder(path: string, within: boolean): Promise<FileHandle | undefined> {
  const excused = within ? ['ENOENT'] : ['ENOENT', 'EACCES', 'EPERM'];
  return tolerate(open(path, constants.O_RDONLY | constants.O_DIRECTORY), ...excused);
}

async function removed(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return false;
    throw error;
  }
}

/** The folder of a key below `root`. */
export function folderOf(root: string, key: string): string {
  return dirname(join(root, key));
}

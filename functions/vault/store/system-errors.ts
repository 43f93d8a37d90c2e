import { getSystemErrorMap } from 'node:util';
import { EkkoError } from '../errors.ts';

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'The file system is full: free space, or move the vault to a larger one',
  EDQUOT: 'The quota is used up: raise it, or free space',
  EACCES: 'Give the user that runs Ekko the right to read and write there',
  EPERM:
    'Give the user that runs Ekko the right to do so; objects are made by hard links, which FAT and some FUSE file systems lack',
  EROFS: 'The file system is mounted read-only: mount it read-write; if it became so by itself, look at the kernel log',
  EMFILE: 'This process has too many files open: raise its limit (ulimit -n)',
  ENFILE: 'This machine has too many files open: raise fs.file-max',
  EIO: 'The device failed: look at the kernel log, and verify the vault',
  ESTALE: 'The NFS server lost the file: mount it again',
  ENOTDIR: 'A file lies where a folder is needed: move it out of the vault',
  EXDEV: 'The vault must lie on one file system: no mount below its directory',
};

/** The system's own code of an error (`ENOENT`), or undefined when it is no error of the system. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) return undefined;
  return typeof error.errno === 'number' && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * What to throw for an error met while doing something, e.g. `Cannot write /a/b`: an error of the system becomes `store-failed`
 * with its text and advice; anything else stays as it is.
 */
export function storeFailure(error: unknown, what: string): unknown {
  const code = systemCodeOf(error);
  if (code === undefined) return error;
  const { errno } = error as NodeJS.ErrnoException;
  const text = getSystemErrorMap().get(errno ?? 0)?.[1] ?? 'unknown error';
  const advice = ADVICE[code] ?? 'Look at that path, then try again';
  return new EkkoError('store-failed', `${what}: ${text} (${code}). ${advice}.`, { cause: error });
}

/** Waits for `work`; an error of the system whose code is among `codes` becomes undefined. */
export async function tolerate<T>(work: Promise<T>, ...codes: string[]): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

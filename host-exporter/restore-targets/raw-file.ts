import { type FileHandle, open } from 'node:fs/promises';
import type { PreparedTarget, TargetRequest } from './restore-target.ts';
import { refuseTarget, targetFailure } from './target-failure.ts';

/** A disk's content is nobody else's business. */
const MODE = 0o600;

/**
 * A sparse file of the disk's size. Throws `target-failed`: it exists (without `overwrite`), is not a file, is not the one that a
 * cut-off restore left (with `resume`), or cannot be made.
 */
export async function prepareRawFile({ path, size, mode }: TargetRequest): Promise<PreparedTarget> {
  const file = await openFor(path, mode);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw refuseTarget(path, 'is not a file', 'Choose the path of a file.');
    if (mode === 'resume') checkSize(path, found.size, size);
    else await makeSparse(file, size);
  } catch (cause) {
    throw targetFailure(path, 'prepare', cause);
  } finally {
    await file.close();
  }
  return { handle: { kind: 'file', path, fresh: true }, finish: async () => {}, abandon: async () => {} };
}

async function openFor(path: string, mode: TargetRequest['mode']): Promise<FileHandle> {
  try {
    if (mode === 'resume') return await open(path, 'r+');
    return await open(path, 'wx', MODE);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw targetFailure(path, 'open', cause);
    if (mode === 'overwrite') return openExisting(path);
    throw refuseTarget(path, 'exists', 'Choose another path, or say that it may be overwritten.');
  }
}

async function openExisting(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch((cause: unknown) => {
    throw targetFailure(path, 'open', cause);
  });
}

async function makeSparse(file: FileHandle, size: number): Promise<void> {
  await file.truncate(0);
  await file.truncate(size);
}

function checkSize(path: string, found: number, size: number): void {
  if (found === size) return;
  const advice = 'It is not what the restore began: restore anew to another path, or overwrite it.';
  throw refuseTarget(path, `has ${found} bytes, the disk has ${size}`, advice);
}

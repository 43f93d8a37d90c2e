import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isKeyPart } from './check-key.ts';
import type { StoredObject } from './object-store.ts';
import { tolerate } from './system-errors.ts';

/** Sizes asked for at once. */
const BATCH = 64;

/**
 * The files below `root` whose keys begin with `prefix` and come after `after`, ascending bytewise. Holds one folder's names per
 * level at a time. Leaves out what no key can name (`.incoming`, `lost+found`), symbolic links and odd files; what vanishes
 * meanwhile is left out too. Throws the system's error.
 */
export async function* listFiles(root: string, prefix: string, after: string): AsyncGenerator<StoredObject> {
  const names = await sortedNames(join(root, prefix));
  const wanted = names.map((name) => prefix + name).filter((key) => mayFollow(key, after));
  for (let at = 0; at < wanted.length; at += BATCH) {
    const batch = wanted.slice(at, at + BATCH);
    const sizes = await Promise.all(batch.map((key) => (key.endsWith('/') ? undefined : sizeOf(join(root, key)))));
    for (const [index, key] of batch.entries()) {
      const size = sizes[index];
      if (key.endsWith('/')) yield* listFiles(root, key, after);
      else if (size !== undefined) yield { key, size };
    }
  }
}

/** Whether a file, or anything in a folder (ends in `/`), can come after `after`. */
function mayFollow(key: string, after: string): boolean {
  return key > after || (key.endsWith('/') && after.startsWith(key));
}

/** A folder's names in the order of the keys below them: a folder sorts as `name/`, which differs from `name` beside `name.x`. */
async function sortedNames(folder: string): Promise<string[]> {
  const entries = (await tolerate(readdir(folder, { withFileTypes: true }), 'ENOENT', 'ENOTDIR')) ?? [];
  return entries.filter(isOurs).map(nameOf).sort(bytewise);
}

function isOurs(entry: Dirent): boolean {
  return (entry.isFile() || entry.isDirectory()) && isKeyPart(entry.name);
}

function nameOf(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name;
}

/** Keys are ASCII, so comparing UTF-16 units is comparing bytes. */
function bytewise(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await tolerate(lstat(path), 'ENOENT', 'ENOTDIR'))?.size;
}

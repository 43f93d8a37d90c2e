import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** What a file takes in a file system with blocks of 4 KiB. */
const BLOCK = 4096;
/** With less room than this the rest is not worth the search. */
const ENOUGH_BLOCKS = 16;

/** Files below a folder that anybody may read, as many as fit into `budget` bytes, in an order that only their names decide. */
export async function chooseFiles(root: string, budget: number): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)));
  const chosen: string[] = [];
  let left = budget;
  for (const path of inFairOrder(paths)) {
    if (left < BLOCK * ENOUGH_BLOCKS) break;
    const { size, mode } = await stat(join(root, path));
    const taken = Math.ceil(size / BLOCK) * BLOCK;
    if ((mode & 0o444) !== 0o444 || taken > left) continue;
    left -= taken;
    chosen.push(path);
  }
  return chosen;
}

/** How many folders the paths lie in, those above them included. */
export function countFolders(paths: readonly string[]): number {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let folder = dirname(path); folder !== '.' && !folders.has(folder); folder = dirname(folder)) {
      folders.add(folder);
    }
  }
  return folders.size;
}

/** By the digest of the name: a selection of any size has files of every kind. */
function inFairOrder(paths: readonly string[]): string[] {
  return paths
    .map((path) => ({ path, digest: createHash('sha1').update(path).digest('hex') }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
    .map(({ path }) => path);
}

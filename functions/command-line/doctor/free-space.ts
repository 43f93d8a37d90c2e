import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { formatSize } from '../text/sizes.ts';
import type { Finding } from './finding.ts';

/** Less may not last for one backup: parts that are staged take up to this much by themselves. */
const LITTLE = 2 * 1024 ** 3;

/** How much room a vault in a directory has; other stores do not tell. */
export async function freeSpace({ url }: ObjectStore): Promise<Finding[]> {
  if (!url.startsWith('file:')) return [];
  const { bavail, blocks, bsize } = await statOfNearest(fileURLToPath(url));
  const free = bavail * bsize;
  const found = `${formatSize(free)} of ${formatSize(blocks * bsize)}`;
  const little = {
    verdict: 'note',
    advice: 'That is little: a backup that finds no room fails, and loses nothing.',
  } as const;
  return [{ subject: 'free space', found, ...(free < LITTLE ? little : { verdict: 'ok' }) }];
}

/** Of the folder, or of the nearest one above that is there. */
async function statOfNearest(path: string): Promise<StatsFs> {
  try {
    return await statfs(path);
  } catch (error) {
    if (dirname(path) === path) throw error;
    return statOfNearest(dirname(path));
  }
}

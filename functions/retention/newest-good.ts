import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { isUnreadable } from '#vault/errors.ts';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '#vault/records.ts';

const READS_AT_ONCE = 16;
/** Pages known to be sound: of so many disks of 1 TiB that one point hardly has more. */
const MOST_KEPT_PAGES = 100_000;

/**
 * The run of the newest of `points` (in commit order) of which no object is known to be damaged; undefined when there is none. Reads
 * nothing while nothing is known to be damaged; else the maps of the newest points, until a good one is found. Throws `store-failed`.
 */
export async function newestGood(
  reader: VaultReader,
  state: Pick<VaultState, 'damaged' | 'moved'>,
  points: readonly CommittedPoint[],
): Promise<string | undefined> {
  if (state.damaged.size === 0) return points.at(-1)?.run;
  const isDamaged = openDamageFinder(reader, state);
  for (const point of points.toReversed()) if (!(await isDamaged(point))) return point.run;
  return undefined;
}

/** Tells whether a point needs an object that is known to be damaged. */
function openDamageFinder(reader: VaultReader, { damaged, moved }: Pick<VaultState, 'damaged' | 'moved'>) {
  const redirects = openRedirects(reader, () => moved);
  const sound = new LRUCache<string, true>({ max: MOST_KEPT_PAGES });
  const limit = pLimit(READS_AT_ONCE);

  const isPageDamaged = async (name: string): Promise<boolean> => {
    if (sound.has(name)) return false;
    const trail = { moves: new Set<string>() };
    const extents = await redirects.resolveAll(await readPage(reader, name), trail);
    const packs = extents.flatMap(({ pack }) => (pack === undefined ? [] : [packName(pack)]));
    if ([...packs, ...trail.moves].some((each) => damaged.has(each))) return true;
    sound.set(name, true);
    return false;
  };

  const isDiskDamaged = async (manifest: string): Promise<boolean> => {
    const pages = (await readManifest(reader, manifest)).pages.filter((page) => page !== undefined);
    if (pages.some((page) => damaged.has(page))) return true;
    return (await limit.map(pages, isPageDamaged)).includes(true);
  };

  return async ({ point, disks }: CommittedPoint): Promise<boolean> => {
    if (damaged.has(point) || disks.some(({ manifest }) => damaged.has(manifest))) return true;
    try {
      for (const { manifest } of disks) if (await isDiskDamaged(manifest)) return true;
      return false;
    } catch (error) {
      if (isUnreadable(error)) return true;
      throw error;
    }
  };
}

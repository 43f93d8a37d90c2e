import { LRUCache } from 'lru-cache';
import { codeOf } from '../errors.ts';
import type { Extent } from '../format/extents.ts';
import type { Manifest } from '../format/manifest.ts';
import { knownMoves } from '../moves/pack-moves.ts';
import { openRedirects } from '../moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '../records.ts';
import { SEGMENTS_PER_PAGE, type SegmentRun } from '../words.ts';

/** Where a segment of an earlier state of the disk lies: segment `number` of `pack`; `zero`; or unknown. */
export type Ancestor = { readonly pack: string; readonly number: number } | 'zero' | undefined;

export interface Lineage {
  /** Ancestors of each segment of the runs, in order: the state that manifest `name` maps. Unreadable pages give unknown. */
  ancestors(name: string, runs: readonly SegmentRun[]): Promise<Ancestor[]>;
}

export function openLineage(reader: VaultReader): Lineage {
  const manifests = new LRUCache<string, Promise<Manifest | undefined>>({ max: 8 });
  const pages = new LRUCache<string, Promise<readonly Extent[] | undefined>>({ max: 16 });
  const redirects = openRedirects(reader, () => knownMoves(reader));
  const manifestOf = (name: string) => cached(manifests, name, () => orUnknown(readManifest(reader, name)));
  const pageOf = (name: string) =>
    cached(pages, name, () => orUnknown(readPage(reader, name).then((extents) => redirects.resolveAll(extents))));

  const ancestorsIn = async (manifest: Manifest, page: number, run: SegmentRun): Promise<Ancestor[]> => {
    if (page >= manifest.pages.length) return Array.from({ length: run.count }, () => undefined);
    const name = manifest.pages[page];
    const extents = name === undefined ? [] : await pageOf(name);
    if (extents === undefined) return Array.from({ length: run.count }, () => undefined);
    return lookUp(extents, run.first - page * SEGMENTS_PER_PAGE, run.count);
  };

  return {
    async ancestors(name, runs) {
      const manifest = await manifestOf(name);
      const found: Ancestor[] = [];
      for (const { page, run } of splitByPage(runs)) {
        if (manifest === undefined) found.push(...Array.from({ length: run.count }, () => undefined));
        else found.push(...(await ancestorsIn(manifest, page, run)));
      }
      return found;
    },
  };
}

function cached<T>(cache: LRUCache<string, Promise<T>>, name: string, load: () => Promise<T>): Promise<T> {
  const held = cache.get(name) ?? load();
  cache.set(name, held);
  return held;
}

/** Lineage is only a hint: an object that is gone or damaged makes it unknown, a store that fails is an error. */
async function orUnknown<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (codeOf(error) === 'store-failed' || codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Runs cut at page borders. */
export function* splitByPage(runs: Iterable<SegmentRun>): Generator<{ page: number; run: SegmentRun }> {
  for (const run of runs) {
    const end = run.first + run.count;
    for (let first = run.first; first < end; ) {
      const page = Math.floor(first / SEGMENTS_PER_PAGE);
      const count = Math.min(end, (page + 1) * SEGMENTS_PER_PAGE) - first;
      yield { page, run: { first, count } };
      first += count;
    }
  }
}

function lookUp(extents: readonly Extent[], first: number, count: number): Ancestor[] {
  const found: Ancestor[] = [];
  let at = firstEndingAfter(extents, first);
  for (let segment = first; segment < first + count; segment++) {
    let extent = extents[at];
    if (extent !== undefined && extent.start + extent.count <= segment) extent = extents[++at];
    found.push(ancestorIn(extent, segment));
  }
  return found;
}

function ancestorIn(extent: Extent | undefined, segment: number): Ancestor {
  if (extent === undefined || segment < extent.start || extent.pack === undefined) return 'zero';
  return { pack: extent.pack, number: extent.first + segment - extent.start };
}

/** Binary search: index of the first extent that ends after `segment`. */
function firstEndingAfter(extents: readonly Extent[], segment: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = extents[middle];
    if (extent !== undefined && extent.start + extent.count <= segment) low = middle + 1;
    else high = middle;
  }
  return low;
}

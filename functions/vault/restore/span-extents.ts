import { LRUCache } from 'lru-cache';
import { clipExtent, type Extent } from '../format/extents.ts';
import type { Manifest } from '../format/manifest.ts';
import { readPage, type VaultReader } from '../records.ts';
import { contentKey, Folder } from '../store/object-names.ts';
import { SEGMENTS_PER_PAGE, type SegmentRun, segmentsOf } from '../words.ts';

/** What a run of a disk's segments is made of. A page that cannot be read is `lost`, with the error that says why. */
export type MappedRun = { readonly start: number; readonly count: number } & (
  | { readonly kind: 'zero' }
  | { readonly kind: 'packed'; readonly pack: string; readonly first: number }
  | { readonly kind: 'lost'; readonly object: string; readonly error: unknown }
);

/** A few MiB: a page has at most 16,384 extents. */
const MOST_PAGES = 4;
/** Pages on their way behind the one in use, so that a far store is not waited for once a GiB. */
const PAGES_AHEAD = 7;

/** Maps runs of disks, all zero runs included, in order and without gaps. Remembers the last pages. */
export type DiskMap = (manifest: Manifest, run: SegmentRun) => AsyncGenerator<MappedRun>;

export function openDiskMap(reader: VaultReader): DiskMap {
  const pages = new LRUCache<string, Promise<Extent[]>>({ max: MOST_PAGES });
  const page = (name: string) => {
    const loading = pages.get(name) ?? readPage(reader, name);
    pages.set(name, loading);
    loading.catch(() => pages.delete(name));
    return loading;
  };
  return async function* mapRun(manifest, { first, count }) {
    const end = Math.min(first + count, segmentsOf(manifest.diskSize));
    const take = readAhead(manifest, { first: pageOf(first), end: pageOf(end - 1) + 1 });
    for (let from = first; from < end; ) {
      const number = pageOf(from);
      const to = Math.min(end, (number + 1) * SEGMENTS_PER_PAGE);
      yield* mapPage(take(number), { from, to, base: number * SEGMENTS_PER_PAGE });
      from = to;
    }
  };

  /** Gives pages by number when they are asked for in order; undefined for one that is zero. */
  function readAhead({ pages: names }: Manifest, { first, end }: { first: number; end: number }) {
    const waiting = new Map<number, LoadingPage>();
    let next = first;
    return (number: number): LoadingPage | undefined => {
      for (; next < end && waiting.size <= PAGES_AHEAD; next++) {
        const name = names[next];
        if (name !== undefined) waiting.set(next, { name, extents: page(name) });
      }
      const found = waiting.get(number);
      waiting.delete(number);
      return found;
    };
  }
}

function pageOf(segment: number): number {
  return Math.floor(segment / SEGMENTS_PER_PAGE);
}

interface LoadingPage {
  readonly name: string;
  readonly extents: Promise<Extent[]>;
}

interface PageSpan {
  readonly from: number;
  readonly to: number;
  /** The disk's segment that the page begins with. */
  readonly base: number;
}

async function* mapPage(page: LoadingPage | undefined, { from, to, base }: PageSpan): AsyncGenerator<MappedRun> {
  if (page === undefined) return yield zeroRun(from, to);
  const extents = await page.extents.catch((error: unknown) => ({ error }));
  if ('error' in extents) {
    const object = contentKey(Folder.pages, page.name);
    return yield { kind: 'lost', start: from, count: to - from, object, error: extents.error };
  }
  let done = from;
  for (const extent of extents) {
    const part = clipExtent(extent, from - base, to - base);
    if (part?.pack === undefined) continue;
    const start = part.start + base;
    if (start > done) yield zeroRun(done, start);
    yield { ...part, start, kind: 'packed', pack: part.pack };
    done = start + part.count;
  }
  if (done < to) yield zeroRun(done, to);
}

function zeroRun(from: number, to: number): MappedRun {
  return { kind: 'zero', start: from, count: to - from };
}

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
    for (let from = first; from < end; ) {
      const number = Math.floor(from / SEGMENTS_PER_PAGE);
      const to = Math.min(end, (number + 1) * SEGMENTS_PER_PAGE);
      yield* mapPage(page, manifest.pages[number], { from, to, base: number * SEGMENTS_PER_PAGE });
      from = to;
    }
  };
}

interface PageSpan {
  readonly from: number;
  readonly to: number;
  /** The disk's segment that the page begins with. */
  readonly base: number;
}

async function* mapPage(
  page: (name: string) => Promise<Extent[]>,
  name: string | undefined,
  { from, to, base }: PageSpan,
): AsyncGenerator<MappedRun> {
  if (name === undefined) return yield zeroRun(from, to);
  const extents = await page(name).catch((error: unknown) => ({ error }));
  if ('error' in extents) {
    const object = contentKey(Folder.pages, name);
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

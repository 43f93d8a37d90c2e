import type { Extent } from '#vault/format/extents.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { createRunBuilder, subtract } from '#vault/staging/segment-runs.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE, type SegmentRun, segmentsOf } from '#vault/words.ts';

/** What a copy reads, and what it knows to be zero. */
export interface CopyRuns {
  readonly data: readonly SegmentRun[];
  readonly zero: readonly SegmentRun[];
}

type ReadExtents = (page: string | undefined) => Promise<readonly Extent[]>;

/**
 * What of a disk differs between two of its manifests, told by their pages alone; all of it without `before`. Pages of the same name
 * are the same: the cost is that of what changed. Throws what reading records throws.
 */
export async function planCopy(vault: Vault, manifest: string, before: string | undefined): Promise<CopyRuns> {
  const now = await readManifest(vault, manifest);
  const then = before === undefined ? undefined : await readManifest(vault, before);
  const redirects = openRedirects(vault, () => knownMoves(vault));
  const read: ReadExtents = async (page) =>
    page === undefined ? [] : redirects.resolveAll(await readPage(vault, page));
  const [data, zero] = [createRunBuilder(), createRunBuilder()];
  for (const [page, name] of now.pages.entries()) {
    if (then !== undefined && then.pages[page] === name) continue;
    const places = placesIn(await read(name));
    const old = then === undefined ? undefined : placesIn(await read(then.pages[page]));
    for (let at = 0; at < segmentsIn(now, page); at++) {
      if (old !== undefined && places[at] === old[at]) continue;
      if (places[at] !== undefined) data.add((page * SEGMENTS_PER_PAGE + at) * SEGMENT_SIZE, SEGMENT_SIZE);
      else if (old !== undefined) zero.add((page * SEGMENTS_PER_PAGE + at) * SEGMENT_SIZE, SEGMENT_SIZE);
    }
  }
  if (then !== undefined) return { data: data.runs, zero: zero.runs };
  return { data: data.runs, zero: subtract([{ first: 0, count: segmentsOf(now.diskSize) }], data.runs) };
}

/** Where each segment of a page lies; undefined: it is zero. */
function placesIn(extents: readonly Extent[]): readonly (string | undefined)[] {
  const places: (string | undefined)[] = [];
  for (const { start, count, pack, first } of extents) {
    for (let i = 0; i < count; i++) places[start + i] = pack === undefined ? undefined : `${pack} ${first + i}`;
  }
  return places;
}

function segmentsIn({ diskSize }: Manifest, page: number): number {
  return Math.min(SEGMENTS_PER_PAGE, segmentsOf(diskSize) - page * SEGMENTS_PER_PAGE);
}

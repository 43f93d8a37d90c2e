import { codeOf } from '#vault/errors.ts';
import type { Extent } from '#vault/format/extents.ts';
import { type PackReference, packName } from '#vault/format/pack.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '#vault/records.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE } from '#vault/words.ts';
import type { VerifiedPoint } from './inventory.ts';
import type { SegmentSource } from './segment-source.ts';

/** Where a source may have a segment. */
export interface OfferedPlace {
  readonly source: SegmentSource;
  readonly volume: string;
  /** Number of the disk's segment. */
  readonly segment: number;
  /** Bytes that lie within the disk; the segment has zeros behind them. */
  readonly length: number;
}

/** A pack, and the segments of it that restore points need, with the places where sources may have them. */
export interface NeededPack {
  readonly reference: PackReference;
  readonly segments: ReadonlyMap<number, readonly OfferedPlace[]>;
}

/** Of each segment, by source: bounds memory, and how often a source is asked for one. */
const MOST_PLACES = 4;

/** What restore points need of the packs of these names. Records that cannot be read are passed over: they are faults of their own. */
export async function findNeeded(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  names: ReadonlySet<string>,
  sources: readonly SegmentSource[],
): Promise<NeededPack[]> {
  const found = new Map<
    string,
    { readonly reference: PackReference; readonly segments: Map<number, OfferedPlace[]> }
  >();
  const usesOf = openPageUses(reader, names);

  const add = (
    pack: PackReference,
    number: number,
    place: Omit<OfferedPlace, 'source' | 'volume'>,
    run: string,
    disk: string,
  ) => {
    const needed = found.get(packName(pack)) ?? { reference: pack, segments: new Map() };
    found.set(packName(pack), needed);
    // Only one reference can mean the pack that lies there.
    if (needed.reference !== pack) return;
    const places = needed.segments.get(number) ?? [];
    needed.segments.set(number, places);
    for (const source of sources) {
      const volume = source.offers(run, disk);
      if (volume !== undefined) addPlace(places, { ...place, source, volume });
    }
  };

  // The newest first: a disk has changed least since.
  for (const { run, disks } of points.toReversed()) {
    for (const { name, size, manifest } of disks) {
      for await (const { base, pack, first, start, count } of usesIn(manifest)) {
        for (let i = 0; i < count; i++) {
          const segment = base + start + i;
          const length = Math.min(SEGMENT_SIZE, size - segment * SEGMENT_SIZE);
          add(pack, first + i, { segment, length }, run, name);
        }
      }
    }
  }
  return [...found.values()];

  async function* usesIn(manifest: string) {
    const pages = (await orNothing(readManifest(reader, manifest)))?.pages ?? [];
    for (const [number, page] of pages.entries()) {
      if (page === undefined) continue;
      for (const use of await usesOf(page)) yield { ...use, base: number * SEGMENTS_PER_PAGE };
    }
  }
}

type PackedExtent = Extent & { readonly pack: PackReference };

/** The extents of a page that lie in one of the packs; pages are shared between points, so each is read once. */
function openPageUses(reader: VaultReader, names: ReadonlySet<string>) {
  const known = new Map<string, readonly PackedExtent[]>();
  const redirects = openRedirects(reader, () => knownMoves(reader));
  const isWanted = (extent: Extent): extent is PackedExtent =>
    extent.pack !== undefined && names.has(packName(extent.pack));
  return async (page: string): Promise<readonly PackedExtent[]> => {
    const held = known.get(page);
    if (held !== undefined) return held;
    const uses: PackedExtent[] = [];
    for (const extent of (await orNothing(readPage(reader, page))) ?? []) {
      // A move that cannot be read hides what it leads to, and no more.
      uses.push(...((await orNothing(redirects.resolveAll([extent]))) ?? []).filter(isWanted));
    }
    known.set(page, uses);
    return uses;
  };
}

async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (codeOf(error) === undefined || codeOf(error) === 'store-failed') throw error;
    return undefined;
  }
}

function addPlace(places: OfferedPlace[], place: OfferedPlace): void {
  const ofSource = places.filter(({ source }) => source === place.source);
  if (ofSource.length >= MOST_PLACES) return;
  const isKnown = ofSource.some(({ volume, segment }) => volume === place.volume && segment === place.segment);
  if (!isKnown) places.push(place);
}

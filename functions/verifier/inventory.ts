import type { Extent } from '#vault/format/extents.ts';
import type { PackReference } from '#vault/format/pack.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects, type Redirects, type Trail } from '#vault/moves/redirects.ts';
import { newNameTable } from '#vault/name-table.ts';
import { readManifest, readPage, readPoint, type VaultReader } from '#vault/records.ts';
import { type ContentFolder, contentKey, Folder } from '#vault/store/object-names.ts';
import { type NeededPacks, newNeededPacks } from './needed-packs.ts';
import { type Problem, problemOf } from './problem.ts';

/** A committed restore point, as the journal names it. */
export type VerifiedPoint = Pick<CommittedPoint, 'run' | 'point' | 'disks'>;

/** What the restore points need. */
export interface Inventory {
  readonly packs: NeededPacks;
  /** Records that could not be opened, by key. */
  readonly problems: ReadonlyMap<string, Problem>;
}

/** Follows every point through its manifests, pages and moves; each record is read once. */
export async function takeInventory(reader: VaultReader, points: readonly VerifiedPoint[]): Promise<Inventory> {
  const packs = newNeededPacks();
  const problems = new Map<string, Problem>();
  const seen = newNameTable();
  const redirects = openRedirects(reader, () => knownMoves(reader));

  /** The record of that name, the first time; undefined again, or where it cannot be opened. */
  async function once<T>(folder: ContentFolder, name: string, read: () => Promise<T>): Promise<T | undefined> {
    if (seen.has(name)) return undefined;
    seen.add(name);
    try {
      return await read();
    } catch (error) {
      problems.set(contentKey(folder, name), problemOf(error));
      return undefined;
    }
  }

  for (const { point, disks } of points) {
    await once(Folder.points, point, () => readPoint(reader, point));
    for (const { manifest: name } of disks) {
      const manifest = await once(Folder.manifests, name, () => readManifest(reader, name));
      for (const page of manifest?.pages ?? []) {
        if (page === undefined) continue;
        const extents = await once(Folder.pages, page, () => readPage(reader, page));
        const { pieces, faults } = await followMoves(redirects, extents ?? []);
        for (const { move, problem } of faults) problems.set(move, problem);
        for (const [reference, segments] of segmentsNamed(pieces)) packs.add(reference, segments);
      }
    }
  }
  return { packs, problems };
}

/** Where extents lie now, and those of which that cannot be known. */
export interface FollowedExtents {
  readonly pieces: readonly Extent[];
  readonly faults: readonly {
    readonly extent: Extent;
    /** Key of the move that cannot be read. */
    readonly move: string;
    readonly problem: Problem;
  }[];
}

/** Follows the moves of a page's extents. Throws what is no error of ours. */
export async function followMoves(redirects: Redirects, extents: readonly Extent[]): Promise<FollowedExtents> {
  try {
    return { pieces: await redirects.resolveAll(extents), faults: [] };
  } catch {
    // Rare: then each is followed by itself, to know which it is.
    return followEach(redirects, extents);
  }
}

async function followEach(redirects: Redirects, extents: readonly Extent[]): Promise<FollowedExtents> {
  const pieces: Extent[] = [];
  const faults: FollowedExtents['faults'][number][] = [];
  for (const extent of extents) {
    const trail: Trail = { moves: new Set() };
    try {
      pieces.push(...(await redirects.resolveAll([extent], trail)));
    } catch (error) {
      faults.push({ extent, move: contentKey(Folder.moves, trail.failed ?? ''), problem: problemOf(error) });
    }
  }
  return { pieces, faults };
}

/** Of each pack how many segments it must have at least. */
function segmentsNamed(extents: readonly Extent[]): Map<PackReference, number> {
  const named = new Map<PackReference, number>();
  for (const { pack, first, count } of extents) {
    if (pack !== undefined) named.set(pack, Math.max(first + count, named.get(pack) ?? 0));
  }
  return named;
}

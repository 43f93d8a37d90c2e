import type { Extent } from '#vault/format/extents.ts';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects, type Redirects, type Trail } from '#vault/moves/redirects.ts';
import { readManifest, readPage, readPoint, type VaultReader } from '#vault/records.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { PackUse } from './judge-pack.ts';
import { type Problem, problemOf } from './problem.ts';

/** A committed restore point, as the journal names it. */
export type VerifiedPoint = Pick<CommittedPoint, 'run' | 'point' | 'disks'>;

/** What the restore points need. */
export interface Inventory {
  /** By key of the pack. */
  readonly packs: ReadonlyMap<string, readonly PackUse[]>;
  /** Records that could not be opened, by key. */
  readonly problems: ReadonlyMap<string, Problem>;
}

/** Follows every point through its manifests, pages and moves; each record is read once. */
export async function takeInventory(reader: VaultReader, points: readonly VerifiedPoint[]): Promise<Inventory> {
  const packs = new Map<string, PackUse[]>();
  const problems = new Map<string, Problem>();
  const seen = new Set<string>();
  const redirects = openRedirects(reader, () => knownMoves(reader));

  /** The record at `key`, the first time; undefined again, or where it cannot be opened. */
  async function once<T>(key: string, read: () => Promise<T>): Promise<T | undefined> {
    if (seen.has(key)) return undefined;
    seen.add(key);
    try {
      return await read();
    } catch (error) {
      problems.set(key, problemOf(error));
      return undefined;
    }
  }

  for (const { point, disks } of points) {
    await once(contentKey(Folder.points, point), () => readPoint(reader, point));
    for (const { manifest: name } of disks) {
      const manifest = await once(contentKey(Folder.manifests, name), () => readManifest(reader, name));
      for (const page of manifest?.pages ?? []) {
        if (page === undefined) continue;
        const extents = await once(contentKey(Folder.pages, page), () => readPage(reader, page));
        for (const extent of extents ?? []) for (const piece of await follow(extent)) countUse(packs, piece);
      }
    }
  }
  return { packs, problems };

  /** Where an extent's segments lie now; nothing where a move cannot be read. */
  async function follow(extent: Extent): Promise<readonly Extent[]> {
    const { pieces, problem } = await followMoves(redirects, extent);
    if (problem !== undefined) problems.set(problem.move, problem);
    return pieces;
  }
}

/** Where an extent's segments lie now, or why that cannot be known, with the key of the move at fault. */
export async function followMoves(
  redirects: Redirects,
  extent: Extent,
): Promise<{
  readonly pieces: readonly Extent[];
  readonly problem: (Problem & { readonly move: string }) | undefined;
}> {
  const trail: Trail = { moves: new Set() };
  try {
    return { pieces: await redirects.resolveAll([extent], trail), problem: undefined };
  } catch (error) {
    const move = contentKey(Folder.moves, trail.failed ?? '');
    return { pieces: [], problem: { ...problemOf(error), move } };
  }
}

function countUse(packs: Map<string, PackUse[]>, { pack, first, count }: Extent): void {
  if (pack === undefined) return;
  const key = contentKey(Folder.packs, packName(pack));
  const uses = packs.get(key) ?? [];
  const at = uses.findIndex(({ reference }) => reference === pack);
  const segments = Math.max(first + count, uses[at]?.segments ?? 0);
  uses[at === -1 ? uses.length : at] = { reference: pack, segments };
  packs.set(key, uses);
}

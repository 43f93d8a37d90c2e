import { LRUCache } from 'lru-cache';
import type { Extent } from '#vault/format/extents.ts';
import { pagesOf } from '#vault/format/manifest.ts';
import { type PackReference, packName } from '#vault/format/pack.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '#vault/records.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { PAGE_SPAN, SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { type AffectedByObject, type CostsOfObject, newCostsOfObject } from './costs-of-object.ts';
import { followMoves, type VerifiedPoint } from './inventory.ts';
import type { Problem } from './problem.ts';

/** Ranges listed by all findings together: a pack alone may be used in a thousand places, by each of a thousand points. */
const MOST_RANGES = 20_000;

/** Which bytes of which disks at which points each problem costs, by key of the object at fault. Objects that cost nothing are left out. */
export async function findAffected(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  problems: ReadonlyMap<string, Problem>,
): Promise<ReadonlyMap<string, AffectedByObject>> {
  const affected = new Map<string, CostsOfObject>();
  const pageLosses = openPageLosses(reader, problems);
  const most = Math.max(1, Math.floor(MOST_RANGES / problems.size));
  const costsOf = (key: string) => {
    const costs = affected.get(key) ?? newCostsOfObject(most);
    affected.set(key, costs);
    return costs;
  };

  for (const { run, point, disks } of points) {
    for (const { name, size, manifest } of disks) {
      const add = ({ key, offset, length }: Loss, base: number) => {
        const at = base + offset;
        costsOf(key).add({ point: run, disk: name, offset: at, length: Math.min(length, size - at) });
      };
      for (const key of [contentKey(Folder.points, point), contentKey(Folder.manifests, manifest)]) {
        if (problems.has(key)) add({ key, offset: 0, length: size }, 0);
      }
      for (const [number, page] of await pagesToFollow(manifest, size)) {
        for (const loss of await pageLosses(page)) add(loss, number * PAGE_SPAN);
      }
    }
  }
  return affected;

  async function pagesToFollow(manifest: string, size: number): Promise<[number: number, page: string][]> {
    if (problems.has(contentKey(Folder.manifests, manifest))) return [];
    const { pages } = await readManifest(reader, manifest);
    return [...pages.slice(0, pagesOf(size)).entries()].flatMap(([number, page]) =>
      page === undefined ? [] : [[number, page]],
    );
  }
}

/** What a problem costs of a page, or of a disk. */
interface Loss {
  /** Of the object at fault. */
  readonly key: string;
  readonly offset: number;
  readonly length: number;
}

/** Losses kept in memory, at about 100 bytes each; a page without any counts as one. */
const MOST_KEPT_LOSSES = 200_000;

/** What is lost of a page. Pages are shared between points: what was found of the last ones is kept. */
function openPageLosses(reader: VaultReader, problems: ReadonlyMap<string, Problem>) {
  const known = new LRUCache<string, readonly Loss[]>({ maxSize: MOST_KEPT_LOSSES });
  const redirects = openRedirects(reader, () => knownMoves(reader));
  return async (name: string): Promise<readonly Loss[]> => {
    const held = known.get(name);
    if (held !== undefined) return held;
    const losses = await look(name);
    known.set(name, losses, { size: losses.length + 1 });
    return losses;
  };

  async function look(name: string): Promise<Loss[]> {
    const key = contentKey(Folder.pages, name);
    if (problems.has(key)) return [{ key, offset: 0, length: PAGE_SPAN }];
    const { pieces, faults } = await followMoves(redirects, await readPage(reader, name));
    const hidden = faults.map(({ move, extent }) => lossOf(move, extent.start, extent.count));
    return [...hidden, ...lossesIn(pieces, problems)];
  }
}

function lossOf(key: string, start: number, count: number): Loss {
  return { key, offset: start * SEGMENT_SIZE, length: count * SEGMENT_SIZE };
}

function lossesIn(extents: readonly Extent[], problems: ReadonlyMap<string, Problem>): Loss[] {
  const losses: Loss[] = [];
  // A page names few packs, in many extents.
  const faultsOf = new Map<PackReference, readonly [key: string, problem: Problem | undefined]>();
  const faultOf = (pack: PackReference) => {
    const known = faultsOf.get(pack);
    if (known !== undefined) return known;
    const key = contentKey(Folder.packs, packName(pack));
    const fault = [key, problems.get(key)] as const;
    faultsOf.set(pack, fault);
    return fault;
  };
  for (const { start, count, pack, first } of extents) {
    if (pack === undefined) continue;
    const [key, problem] = faultOf(pack);
    if (problem === undefined) continue;
    const lost: readonly SegmentRun[] = problem.lost ?? [{ first, count }];
    for (const run of lost) {
      const from = Math.max(run.first, first);
      const to = Math.min(run.first + run.count, first + count);
      if (from < to) losses.push(lossOf(key, start + from - first, to - from));
    }
  }
  return losses;
}

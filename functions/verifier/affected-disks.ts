import type { Extent } from '#vault/format/extents.ts';
import { pagesOf } from '#vault/format/manifest.ts';
import { packName } from '#vault/format/pack.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '#vault/records.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { PAGE_SPAN, SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { followMoves, type VerifiedPoint } from './inventory.ts';
import type { Problem } from './problem.ts';
import type { AffectedDisk } from './report.ts';

/** A disk at a point, and what of it hangs on which object at fault. */
interface DiskPlace {
  readonly point: string;
  readonly disk: string;
  readonly size: number;
}

/** Which bytes of which disks at which points each problem costs, by key of the object at fault. Ranges ascend and do not touch. */
export async function findAffected(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  problems: ReadonlyMap<string, Problem>,
): Promise<Map<string, AffectedDisk[]>> {
  const affected = new Map<string, AffectedDisk[]>();
  const pageLosses = openPageLosses(reader, problems);
  const add = (key: string, { point, disk, size }: DiskPlace, offset: number, length: number) => {
    const list = affected.get(key) ?? [];
    affected.set(key, list);
    addRange(list, { point, disk, offset, length: Math.min(length, size - offset) });
  };

  for (const { run, point, disks } of points) {
    for (const { name, size, manifest } of disks) {
      const place = { point: run, disk: name, size };
      for (const key of [contentKey(Folder.points, point), contentKey(Folder.manifests, manifest)]) {
        if (problems.has(key)) add(key, place, 0, size);
      }
      for await (const { key, offset, length } of lossesOf(manifest, size)) add(key, place, offset, length);
    }
  }
  return affected;

  async function* lossesOf(manifest: string, size: number) {
    if (problems.has(contentKey(Folder.manifests, manifest))) return;
    const { pages } = await readManifest(reader, manifest);
    for (let number = 0; number < pagesOf(size); number++) {
      const page = pages[number];
      if (page === undefined) continue;
      const losses = await pageLosses(page);
      for (const { key, offset, length } of losses) yield { key, offset: number * PAGE_SPAN + offset, length };
    }
  }
}

interface PageLoss {
  readonly key: string;
  /** In the page. */
  readonly offset: number;
  readonly length: number;
}

/** What is lost of a page; pages are shared between points, so each is looked at once. */
function openPageLosses(reader: VaultReader, problems: ReadonlyMap<string, Problem>) {
  const known = new Map<string, readonly PageLoss[]>();
  const redirects = openRedirects(reader, () => knownMoves(reader));
  return async (name: string): Promise<readonly PageLoss[]> => {
    const losses = known.get(name) ?? (await look(name));
    known.set(name, losses);
    return losses;
  };

  async function look(name: string): Promise<PageLoss[]> {
    const key = contentKey(Folder.pages, name);
    if (problems.has(key)) return [{ key, offset: 0, length: PAGE_SPAN }];
    const losses: PageLoss[] = [];
    for (const extent of await readPage(reader, name)) losses.push(...(await lossesOf(extent)));
    return losses;
  }

  async function lossesOf(extent: Extent): Promise<PageLoss[]> {
    const { pieces, problem } = await followMoves(redirects, extent);
    if (problem !== undefined) return [{ key: problem.move, ...wholeExtent(extent) }];
    return pieces.flatMap((piece) => lossesIn(piece, problems));
  }
}

function wholeExtent({ start, count }: Extent): Pick<PageLoss, 'offset' | 'length'> {
  return { offset: start * SEGMENT_SIZE, length: count * SEGMENT_SIZE };
}

function lossesIn(extent: Extent, problems: ReadonlyMap<string, Problem>): PageLoss[] {
  if (extent.pack === undefined) return [];
  const key = contentKey(Folder.packs, packName(extent.pack));
  const problem = problems.get(key);
  if (problem === undefined) return [];
  const lost: readonly SegmentRun[] = problem.lost ?? [{ first: extent.first, count: extent.count }];
  return lost.flatMap((run) => {
    const from = Math.max(run.first, extent.first);
    const to = Math.min(run.first + run.count, extent.first + extent.count);
    if (from >= to) return [];
    const offset = (extent.start + from - extent.first) * SEGMENT_SIZE;
    return [{ key, offset, length: (to - from) * SEGMENT_SIZE }];
  });
}

function addRange(list: AffectedDisk[], range: AffectedDisk): void {
  const last = list.at(-1);
  const continues =
    last?.point === range.point && last.disk === range.disk && last.offset + last.length === range.offset;
  if (continues) list[list.length - 1] = { ...last, length: last.length + range.length };
  else list.push(range);
}

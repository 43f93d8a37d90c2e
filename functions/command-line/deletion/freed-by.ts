import pLimit from 'p-limit';
import { isUnreadable } from '#vault/errors.ts';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader } from '#vault/records.ts';
import { type ContentFolder, Folder, nameOf } from '#vault/store/object-names.ts';

/** What lies in the vault for some points alone: so much the sweep gives free when their time of grace is over. */
export interface Freed {
  readonly objects: number;
  /** As stored. */
  readonly bytes: number;
}

/** Pages read and names held at once: what takes more is left to `ekko sweep --dry-run`. */
const MOST_PAGES = 5_000;
const MOST_NAMES = 200_000;
const READS_AT_ONCE = 16;

/**
 * What only these points need, of all that are not deleted: the packs, pages, manifests and points that no other one needs. Undefined
 * where that takes too long to find out, or a record cannot be read. Segments in packs that others need too are not counted: compaction
 * gives them free. Throws `store-failed`.
 */
export async function freedBy(
  reader: VaultReader,
  state: Pick<VaultState, 'points' | 'moved'>,
  runs: readonly string[],
): Promise<Freed | undefined> {
  try {
    return await countFreed(reader, state, new Set(runs));
  } catch (error) {
    if (error instanceof TooMuch || isUnreadable(error)) return undefined;
    throw error;
  }
}

class TooMuch extends Error {}

async function countFreed(
  reader: VaultReader,
  { points, moved }: Pick<VaultState, 'points' | 'moved'>,
  runs: ReadonlySet<string>,
): Promise<Freed> {
  const all = [...points.values()];
  const [own, others] = [all.filter(({ run }) => runs.has(run)), all.filter(({ run }) => !runs.has(run))];
  const manifests = without(manifestsOf(own), manifestsOf(others));
  const otherPages = await pagesOf(reader, manifestsOf(others));
  const pages = without(await pagesOf(reader, manifests), otherPages);
  const packs = await packsOnlyOf(reader, moved, pages, otherPages);
  const names: readonly (readonly [ContentFolder, ReadonlySet<string>])[] = [
    [Folder.points, without(new Set(own.map(({ point }) => point)), new Set(others.map(({ point }) => point)))],
    [Folder.manifests, manifests],
    [Folder.pages, pages],
    [Folder.packs, packs],
  ];
  const sums = { objects: 0, bytes: 0 };
  for (const [folder, wanted] of names) await addSizes(reader, folder, wanted, sums);
  return sums;
}

/** The packs that these pages need, and no other page does. */
async function packsOnlyOf(
  reader: VaultReader,
  moved: VaultState['moved'],
  pages: ReadonlySet<string>,
  otherPages: ReadonlySet<string>,
): Promise<Set<string>> {
  const redirects = openRedirects(reader, () => moved);
  const limit = pLimit(READS_AT_ONCE);
  const packsIn = async (page: string) => {
    const extents = await redirects.resolveAll(await readPage(reader, page));
    return extents.flatMap(({ pack }) => (pack === undefined ? [] : [packName(pack)]));
  };
  if (pages.size + otherPages.size > MOST_PAGES) throw new TooMuch();
  const packs = new Set<string>();
  await limit.map([...pages], async (page) => {
    for (const pack of await packsIn(page)) packs.add(pack);
  });
  await limit.map([...otherPages], async (page) => {
    // Nothing is left that another page could need.
    if (packs.size > 0) for (const pack of await packsIn(page)) packs.delete(pack);
  });
  return packs;
}

function manifestsOf(points: readonly CommittedPoint[]): Set<string> {
  return new Set(points.flatMap(({ disks }) => disks.map(({ manifest }) => manifest)));
}

async function pagesOf(reader: VaultReader, manifests: ReadonlySet<string>): Promise<Set<string>> {
  const limit = pLimit(READS_AT_ONCE);
  const pages = new Set<string>();
  await limit.map([...manifests], async (name) => {
    for (const page of (await readManifest(reader, name)).pages) if (page !== undefined) pages.add(page);
    if (pages.size > MOST_NAMES) throw new TooMuch();
  });
  return pages;
}

/** A listing alone tells sizes. */
async function addSizes(
  { store }: VaultReader,
  folder: ContentFolder,
  wanted: ReadonlySet<string>,
  sums: { objects: number; bytes: number },
): Promise<void> {
  let left = wanted.size;
  if (left === 0) return;
  for await (const { key, size } of store.list(folder)) {
    if (!wanted.has(nameOf(key) ?? '')) continue;
    sums.objects++;
    sums.bytes += size;
    if (--left === 0) return;
  }
}

function without(names: ReadonlySet<string>, others: ReadonlySet<string>): Set<string> {
  return new Set([...names].filter((name) => !others.has(name)));
}

import { splitByPage } from '#vault/dedupe/lineage.ts';
import { EkkoError, isUnreadable } from '#vault/errors.ts';
import { clipExtent, type Extent, packsOf } from '#vault/format/extents.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import { pagesOf } from '#vault/format/manifest.ts';
import { packName } from '#vault/format/pack.ts';
import { overlayExtents, sameExtents } from '#vault/format/page.ts';
import type { ExportSummary } from '#vault/format/summary.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import { openRedirects, type Redirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage, type VaultReader, writeManifest, writePage } from '#vault/records.ts';
import { SEGMENTS_PER_PAGE, segmentsOf } from '#vault/words.ts';
import { noTotals, type PartTotals, receiptsOf } from './receipts.ts';

/** The earlier states of a disk that a commit can build on, by manifest name. */
export interface DiskPast {
  /** The state the run counts from; undefined: the run read everything. */
  readonly base: string | undefined;
  /** The newest state of the disk: pages that are the same again are shared with it. */
  readonly newest: string | undefined;
}

/** A disk's map, written and durable. */
export interface MappedDisk {
  readonly manifest: string;
  readonly totals: PartTotals;
  /** The manifest and its pages. */
  readonly records: ReadonlySet<string>;
  /** Packs that the pages written here name. What pages that stay as they were need is live as long as the past they come from is. */
  readonly packs: ReadonlySet<string>;
}

/** Pages that are read and written beside one another, so that a far or flushing store is not waited for one by one. */
const PAGES_AT_ONCE = 16;

/**
 * Lays a disk's receipts over its base: writes the pages that changed and the manifest, a few pages in memory at a time.
 * What did not change is shared, up to the manifest itself. Pages written here name the packs that segments lie in, not ones that the
 * reader's journal calls moved, unless the move left those segments where they were. Throws `run-incomplete` (a receipt is missing, or a full read left
 * segments out), `part-refused` (receipts overlap or go back).
 */
export async function mapDisk(
  vault: VaultReader,
  run: string,
  number: number,
  summary: ExportSummary,
  past: DiskPast,
): Promise<MappedDisk> {
  const base = await readPast(vault, past.base);
  const newest = past.newest === past.base ? base : await unlessUnreadable(readPast(vault, past.newest));
  if (base !== undefined && !fits(summary, base.diskSize)) throw resized(summary, base.diskSize);
  // Behind an image's end its disk is zero.
  const pages = Array.from({ length: pagesOf(summary.diskSize) }, (_, page) => base?.pages[page]);
  const draft = { vault, redirects: openRedirects(vault, () => knownMoves(vault)), packs: new Set<string>() };
  const totals = noTotals();
  const writing = new Set<Promise<void>>();
  for await (const { page, changes } of byPage(receiptsOf(vault, run, number, summary, totals))) {
    const done: Promise<void> = writeChangedPage(draft, changes, base?.pages[page], newest?.pages[page])
      .then((name) => {
        pages[page] = name;
      })
      .finally(() => writing.delete(done));
    // Awaited below; until then a failure must not count as unhandled.
    done.catch(() => undefined);
    writing.add(done);
    if (writing.size >= PAGES_AT_ONCE) await Promise.race(writing);
  }
  await Promise.all(writing);
  checkCoverage(summary, totals);
  const manifest = await writeChangedManifest(vault, { diskSize: summary.diskSize, pages }, past.newest, newest);
  const records = new Set([manifest, ...pages.filter((name) => name !== undefined)]);
  return { manifest, totals, records, packs: draft.packs };
}

interface MapDraft {
  readonly vault: VaultReader;
  readonly redirects: Redirects;
  /** Names of packs that new pages name. */
  readonly packs: Set<string>;
}

async function writeChangedPage(
  { vault, redirects, packs }: MapDraft,
  changes: readonly Extent[],
  basePage: string | undefined,
  newestPage: string | undefined,
): Promise<string | undefined> {
  const extentsOf = async (page: string) => redirects.resolveAll(await readPage(vault, page));
  const before = basePage === undefined ? [] : await extentsOf(basePage);
  const extents = await redirects.resolveAll(overlayExtents(before, changes));
  if (extents.length === 0) return undefined;
  if (basePage !== undefined && sameExtents(extents, before)) return basePage;
  if (newestPage !== undefined && newestPage !== basePage) {
    const newest = await unlessUnreadable(extentsOf(newestPage));
    if (newest !== undefined && sameExtents(extents, newest)) return newestPage;
  }
  for (const pack of packsOf(extents)) packs.add(packName(pack));
  return writePage(vault, extents);
}

async function writeChangedManifest(
  vault: VaultReader,
  manifest: Manifest,
  newestName: string | undefined,
  newest: Manifest | undefined,
): Promise<string> {
  const same =
    newestName !== undefined &&
    newest?.diskSize === manifest.diskSize &&
    newest.pages.every((name, page) => name === manifest.pages[page]);
  return same ? newestName : writeManifest(vault, manifest);
}

/** Ascending extents, gathered by page and numbered from the page's first segment. */
async function* byPage(extents: AsyncIterable<Extent>): AsyncGenerator<{ page: number; changes: Extent[] }> {
  let page = 0;
  let changes: Extent[] = [];
  for await (const extent of extents) {
    for (const piece of splitByPage([{ first: extent.start, count: extent.count }])) {
      if (piece.page !== page) {
        if (changes.length > 0) yield { page, changes };
        page = piece.page;
        changes = [];
      }
      const clipped = clipExtent(extent, piece.run.first, piece.run.first + piece.run.count);
      if (clipped) changes.push({ ...clipped, start: clipped.start - page * SEGMENTS_PER_PAGE });
    }
  }
  if (changes.length > 0) yield { page, changes };
}

async function readPast(vault: VaultReader, name: string | undefined): Promise<Manifest | undefined> {
  return name === undefined ? undefined : readManifest(vault, name);
}

/** The newest state is only there to be shared: one that is damaged must not keep a full read, which does without it, from being committed. */
async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

function checkCoverage(summary: ExportSummary, totals: PartTotals): void {
  const expected = segmentsOf(summary.diskSize);
  if (summary.base !== undefined || totals.listedSegments === expected) return;
  const found = `${totals.listedSegments} of the ${expected} segments of disk ${summary.disk}`;
  throw new EkkoError('run-incomplete', `The full read names ${found}. Abandon the run and back up again.`);
}

/** A disk may be larger than the image that it was built on; else it has the size that it had. */
function fits({ baseDisk, diskSize }: ExportSummary, before: number): boolean {
  return baseDisk === undefined ? before === diskSize : before <= diskSize;
}

function resized(summary: ExportSummary, before: number): EkkoError {
  const sizes = `${summary.diskSize} bytes, its base ${summary.base} ${before}`;
  return new EkkoError('part-refused', `Disk ${summary.disk} has ${sizes}: a resized disk must be read in full.`);
}

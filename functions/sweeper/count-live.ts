import { isUnreadable } from '#vault/errors.ts';
import { REFERENCE_SIZE } from '#vault/format/extents.ts';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { type NameTable, newNameTable } from '#vault/name-table.ts';
import { readManifest, readPage, readPagePacks, type VaultReader } from '#vault/records.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { inLanes } from './in-lanes.ts';
import type { LiveNames, LivenessOptions, LivenessProblem } from './liveness.ts';
import type { NotePart } from './page-note-part.ts';
import type { ReadPart } from './page-notes.ts';

/** Points counted under one knowledge of where segments lie. */
export interface LiveCount {
  readonly live: LiveNames;
  readonly problems: readonly LivenessProblem[];
  /** Whether each pack that the state calls moved is known to be so. */
  knows(state: VaultState): boolean;
  hasPoint(point: CommittedPoint): boolean;
  /** Throws `store-failed`. */
  add(points: readonly CommittedPoint[]): Promise<void>;
}

const READS_AT_ONCE = 16;

export function newLiveCount(
  reader: VaultReader,
  moved: ReadonlyMap<string, string>,
  { used, notes }: LivenessOptions,
): LiveCount {
  const live = {
    points: newNameTable(),
    manifests: newNameTable(),
    pages: newNameTable(),
    moves: newNameTable(),
    packs: newNameTable(),
  };
  const problems: LivenessProblem[] = [];
  const redirects = openRedirects(reader, () => moved);

  /** What `read` gives, or undefined for a record that nobody can read. */
  const orProblem = async <T>(object: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      problems.push({ object, message: error.message });
      return undefined;
    }
  };

  const addManifest = async (name: string): Promise<void> => {
    const manifest = await orProblem(contentKey(Folder.manifests, name), () => readManifest(reader, name));
    for (const page of manifest?.pages ?? []) if (page !== undefined) live.pages.add(page);
  };

  const readNeeds = async (page: string) => {
    const trail = { moves: new Set<string>() };
    return { extents: await redirects.resolveAll(await readPage(reader, page), trail), moves: trail.moves };
  };

  const movedNames = newNameTable();
  for (const pack of moved.keys()) movedNames.add(pack);

  /** A page none of whose packs was moved needs those that it names, wherever in it it names them. */
  const addPage = async (page: string): Promise<void> => {
    if (used !== undefined) return followPage(page);
    const references = await orProblem(contentKey(Folder.pages, page), () => readPagePacks(reader, page));
    if (references === undefined) return;
    const packs = namesIn(references);
    if (packs.some(movedNames.has)) return followPage(page);
    for (const pack of packs) live.packs.add(pack);
    await notes?.add(page, packs, []);
  };

  const followPage = async (page: string): Promise<void> => {
    const needs = await orProblem(contentKey(Folder.pages, page), () => readNeeds(page));
    if (needs === undefined) return;
    const packs = new Set<string>();
    for (const { pack, first, count } of needs.extents) {
      if (pack === undefined) continue;
      packs.add(packName(pack));
      used?.(pack, first, count);
    }
    for (const pack of packs) live.packs.add(pack);
    for (const move of needs.moves) live.moves.add(move);
    // Segments that a move left behind are rare; such a page is read again each time rather than explained.
    if (![...packs].some((pack) => moved.has(pack))) await notes?.add(page, packs, needs.moves);
  };

  /** Takes from a note what it says of pages numbered from `first` on that are not in `known` yet. */
  const useNotes = (
    { part, used }: ReadPart,
    first: number,
    known: Uint8Array,
    standing: ReadonlySet<string>,
  ): void => {
    const numbers = numbersOf(part, moved, standing, live);
    for (const [i, page] of part.pages.entries()) {
      const number = live.pages.find(page.name);
      if (number < first || known[number - first] === 1) continue;
      if (!page.packs.every(numbers.isPackValid) || !page.moves.every(numbers.isMoveValid)) continue;
      page.packs.forEach(numbers.addPack);
      page.moves.forEach(numbers.addMove);
      known[number - first] = 1;
      used[i] = 1;
    }
  };

  return {
    live,
    problems,
    knows: (state) => isSubset(state.moved, moved),
    hasPoint: ({ point, disks }) =>
      live.points.has(point) && disks.every(({ manifest }) => live.manifests.has(manifest)),
    async add(points) {
      const firstPage = live.pages.size;
      await inLanes(READS_AT_ONCE, newManifests(points, live), addManifest);
      const known = new Uint8Array(live.pages.size - firstPage);
      // Later points share nearly all of their pages with those counted first.
      if (firstPage === 0 && notes !== undefined) {
        const standing = new Set(moved.values());
        for await (const part of notes.read()) useNotes(part, firstPage, known, standing);
      }
      await inLanes(READS_AT_ONCE, unknownPages(live.pages, firstPage, known), addPage);
    },
  };
}

function namesIn(references: Buffer): Uint8Array[] {
  const count = references.length / REFERENCE_SIZE;
  return Array.from({ length: count }, (_, i) => references.subarray(i * REFERENCE_SIZE, i * REFERENCE_SIZE + 32));
}

/** Manifests of points that have not been met before; both are met now. */
function newManifests(points: readonly CommittedPoint[], live: LiveNames): string[] {
  const names: string[] = [];
  for (const { point, disks } of points) {
    live.points.add(point);
    for (const { manifest } of disks) {
      if (live.manifests.has(manifest)) continue;
      live.manifests.add(manifest);
      names.push(manifest);
    }
  }
  return names;
}

function* unknownPages(pages: NameTable, first: number, known: Uint8Array): Generator<string> {
  for (const [i, isKnown] of known.entries()) if (isKnown === 0) yield pages.name(first + i);
}

/** The names of a note, each looked up once. */
function numbersOf(
  { packs, moves }: NotePart,
  moved: ReadonlyMap<string, string>,
  standing: ReadonlySet<string>,
  live: LiveNames,
) {
  const packsValid = Uint8Array.from(packs, (pack) => (moved.has(pack) ? 0 : 1));
  const movesValid = Uint8Array.from(moves, (move) => (standing.has(move) ? 1 : 0));
  const added = new Uint8Array(packs.length);
  return {
    isPackValid: (number: number) => packsValid[number] === 1,
    isMoveValid: (number: number) => movesValid[number] === 1,
    addPack: (number: number) => {
      if (added[number] === 0) live.packs.add(packs[number] ?? '');
      added[number] = 1;
    },
    addMove: (number: number) => {
      live.moves.add(moves[number] ?? '');
    },
  };
}

function isSubset(part: ReadonlyMap<string, string>, whole: ReadonlyMap<string, string>): boolean {
  if (part.size > whole.size) return false;
  for (const [pack, move] of part) if (whole.get(pack) !== move) return false;
  return true;
}

import { codeOf } from '#vault/errors.ts';
import { packName } from '#vault/format/pack.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { appendMove, MOST_MOVE_TRIES, overtaken } from '#vault/moves/append-move.ts';
import { movedPacks, runsOf } from '#vault/moves/copied-runs.ts';
import { type FreshPack, type FreshPacks, openFreshPacks } from '#vault/moves/fresh-packs.ts';
import { relinkPacks } from '#vault/moves/relink-packs.ts';
import { writeMove } from '#vault/records.ts';
import { openPackShelf, type PackShelf, type TrustedPack } from '#vault/restore/trusted-pack.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { askSources, keepIntact } from './gather-segments.ts';
import { findNeeded, type NeededPack } from './needed-segments.ts';
import { newPackDraft, type PackDraft } from './pack-draft.ts';
import { countSegments } from './segment-runs.ts';
import type { SegmentSource } from './segment-source.ts';

export interface RecoverRequest {
  /** Names of damaged or missing packs. */
  readonly packs: readonly string[];
  /** Asked in this order. */
  readonly sources: readonly SegmentSource[];
  readonly now: Date;
  /** Say what could be recovered, and change nothing. */
  readonly dryRun: boolean;
  /** Bytes of segments dealt with, and of all of them. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What became of one damaged pack. Counts are segments that restore points need. */
export interface RecoveredPack {
  readonly key: string;
  /** `recovered`: all of them. `moved`: it was moved once before, and segments of it cannot be moved again. */
  readonly outcome: 'recovered' | 'partly' | 'lost' | 'moved';
  readonly needed: number;
  /** That were intact in the pack itself. */
  readonly kept: number;
  /** That sources had. */
  readonly found: number;
  /** Of `found`: without an index there is no id to compare them with; the key of the copy alone vouches for them. */
  readonly vouched: number;
  /** Of the pack. */
  readonly lost: readonly SegmentRun[];
}

export interface Recovery {
  /** Of the packs that restore points, expired ones included, need; nothing is to be recovered of others. */
  readonly packs: readonly RecoveredPack[];
  /** Keys of what was written. */
  readonly written: readonly string[];
  /** What went wrong with sources, the first few. */
  readonly faults: readonly string[];
}

/** Bounds memory: what is known of each needed segment of so many packs. */
const PACKS_AT_ONCE = 64;
const MOST_FAULTS = 20;
const LEVEL = 3;

/**
 * Recovers what restore points need of damaged or missing packs: what is intact in them, and what `sources` have that is the same. It is
 * put into new packs, and the journal says where it lies now, as when packs are compacted; what was not found stays where it was, lost.
 * No segment is taken unless it has the id that the pack's own index says. Where that is lost, only what a copy vouches for is taken,
 * and only if all places of the copy that should have it agree.
 *
 * A few packs at a time: what dies in between leaves orphans, and the next one goes on. Throws `condemned` (sweeps beside it, again and
 * again), `store-failed`, what the journal throws, and the signal's reason.
 */
export async function recoverPacks(vault: Vault, request: RecoverRequest): Promise<Recovery> {
  const packs: RecoveredPack[] = [];
  const written: string[] = [];
  const faults = new Set<string>();
  const onFault = (message: string) => {
    if (faults.size < MOST_FAULTS) faults.add(message);
  };
  for (let at = 0; at < request.packs.length; at += PACKS_AT_ONCE) {
    request.signal?.throwIfAborted();
    const batch = await recoverBatch(vault, request, request.packs.slice(at, at + PACKS_AT_ONCE), onFault);
    packs.push(...batch.packs);
    written.push(...batch.written);
    const bytes = (count: number) => count * SEGMENT_SIZE;
    const done = packs.reduce((sum, { needed }) => sum + needed, 0);
    request.onProgress?.(bytes(done), bytes(done));
  }
  return { packs, written, faults: [...faults] };
}

type Batch = Omit<Recovery, 'faults'>;

async function recoverBatch(
  vault: Vault,
  request: RecoverRequest,
  names: readonly string[],
  onFault: (message: string) => void,
): Promise<Batch> {
  for (let tries = 1; ; tries++) {
    const state = await vault.journal.refresh();
    const points = [...state.expired.values(), ...state.points.values()];
    const needed = await findNeeded(vault, points, new Set(names), request.sources);
    const stuck = needed.filter(({ reference }) => state.moved.has(packName(reference)));
    const free = needed.filter((pack) => !stuck.includes(pack));
    const copy = await gather(vault, request, free, onFault);
    const outcome = request.dryRun ? UNMOVED : await moveRecovered(vault, copy, state, request.now);
    if (outcome !== 'overtaken') {
      const packs = copy.drafts.map((draft) =>
        outcome.left.has(draft.key) ? stuckReport(draft.needed) : reportOf(draft),
      );
      return { packs: [...packs, ...stuck.map(stuckReport)], written: outcome.written };
    }
    if (tries === MOST_MOVE_TRIES) throw overtaken();
  }
}

interface Gathered {
  readonly drafts: readonly PackDraft[];
  readonly fresh: readonly FreshPack[];
}

async function gather(
  vault: Vault,
  { sources, dryRun, signal }: RecoverRequest,
  needed: readonly NeededPack[],
  onFault: (message: string) => void,
): Promise<Gathered> {
  const keys = vault.keyring.newest;
  const shelf = openPackShelf(vault);
  const fresh = dryRun ? NOWHERE : openFreshPacks(vault.store, keys, LEVEL);
  const drafts: PackDraft[] = [];
  for (const pack of needed) drafts.push(newPackDraft(pack, await readableIndex(shelf, pack), keys, fresh));
  for (const draft of drafts) await keepIntact(shelf, draft);
  if (sources.length > 0) await askSources(drafts, onFault, signal);
  return { drafts, fresh: await fresh.finish() };
}

/** Takes everything, keeps nothing. */
const NOWHERE: FreshPacks = { add: async () => ({ pack: 0, segment: 0 }), finish: async () => [] };

async function readableIndex(shelf: PackShelf, { reference }: NeededPack): Promise<TrustedPack | undefined> {
  try {
    return await shelf.open(reference);
  } catch (error) {
    if (codeOf(error) === undefined || codeOf(error) === 'store-failed') throw error;
    return undefined;
  }
}

interface Moved {
  /** Keys. */
  readonly written: readonly string[];
  /** Keys of packs that somebody else has moved meanwhile. */
  readonly left: ReadonlySet<string>;
}

const UNMOVED: Moved = { written: [], left: new Set() };

/** When it has returned, the journal says where segments lie now. */
async function moveRecovered(
  vault: Vault,
  { drafts, fresh }: Gathered,
  state: VaultState,
  now: Date,
): Promise<Moved | 'overtaken'> {
  const copied = drafts.map(({ needed, placed }) => ({ reference: needed.reference, runs: runsOf(placed) }));
  const moving = copied.filter(({ runs }) => runs.length > 0);
  if (moving.length === 0) return UNMOVED;
  const name = await writeMove(vault, { packs: movedPacks(moving, fresh) });
  const movable = () => moving.map(({ reference }) => packName(reference));
  const moved = await appendMove(vault.journal, { name, fresh, state }, movable, now);
  if (typeof moved === 'string') return 'overtaken';
  const readable = drafts.flatMap(({ pack, placed }) => (pack === undefined || placed.size === 0 ? [] : [pack]));
  await relinkPacks(vault, readable, fresh);
  const gone = new Set(moved);
  const left = movable().filter((pack) => !gone.has(pack));
  const written = [contentKey(Folder.moves, name), ...fresh.map((pack) => contentKey(Folder.packs, pack.name))];
  return { written, left: new Set(left.map((pack) => contentKey(Folder.packs, pack))) };
}

function reportOf({ key, needed, sums, lost: lostIn }: PackDraft): RecoveredPack {
  const lost = lostIn();
  const outcome = lost.length === 0 ? 'recovered' : countSegments(lost) === needed.segments.size ? 'lost' : 'partly';
  return { key, outcome, needed: needed.segments.size, ...sums, lost };
}

function stuckReport({ reference, segments }: NeededPack): RecoveredPack {
  const key = contentKey(Folder.packs, packName(reference));
  return { key, outcome: 'moved', needed: segments.size, kept: 0, found: 0, vouched: 0, lost: [] };
}

import { MOST_MOVED_PACKS } from '#vault/format/move.ts';
import { packName } from '#vault/format/pack.ts';
import { appendMove, MOST_MOVE_TRIES, type Movable, overtaken, type WrittenMove } from '#vault/moves/append-move.ts';
import { movedPacks } from '#vault/moves/copied-runs.ts';
import { relinkPacks } from '#vault/moves/relink-packs.ts';
import { writeMove } from '#vault/records.ts';
import { openPackShelf } from '#vault/restore/trusted-pack.ts';
import type { Vault } from '#vault/vault.ts';
import { type CopiedPack, type Copy, copyPacks } from './copy-packs.ts';
import { type Liveness, type LivenessProblem, newLiveness } from './liveness.ts';
import type { MoveReport } from './move-report.ts';
import { newPackUsage, type PackUsage } from './pack-usage.ts';
import { findSparse, type SparsePack } from './sparse-packs.ts';

export interface MoveRequest {
  readonly now: Date;
  /** Share of used segments below which a pack is rewritten, 0-1. Default: a half. */
  readonly below?: number;
  /** Stored bytes to copy at most. Default: no limit. */
  readonly limitBytes?: number;
  /** Stored bytes that a pack must gain. Default: 256 KiB. */
  readonly leastGain?: number;
  /** zstd's, 1-3. Default: 3, for what is rewritten is read for long. */
  readonly level?: number;
  /** Say what would be moved, and change nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: MoveProgress) => void;
  readonly signal?: AbortSignal;
}

/** Stored bytes of packs dealt with so far, and of all that are to be. */
export interface MoveProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

const BELOW = 0.5;
const LEAST_GAIN = 256 * 1024;
const LEVEL = 3;

/**
 * Compaction: copies segments that restore points need out of sparse packs into new ones, and says in the journal where they lie now.
 * The old packs are then needed by nothing: the next sweep removes them. Each segment is compared with its id when it is read, and each
 * new pack is opened again before it is trusted. A few packs at a time are copied and moved; what dies between leaves orphans.
 *
 * A pack that cannot be read is left as it is, and `problems` says why. Where a page or manifest cannot be read nothing is moved.
 * Throws `condemned` (a sweep beside it removed its new packs, again and again), `store-failed`, what the journal throws.
 */
export async function movePacks(vault: Vault, request: MoveRequest): Promise<MoveReport> {
  const began = performance.now();
  const survey = await takeSurvey(vault);
  const { below = BELOW, leastGain = LEAST_GAIN, limitBytes = Number.POSITIVE_INFINITY } = request;
  const { problems } = survey.liveness;
  const sparse =
    problems.length > 0 ? [] : await findSparse(vault, survey.usage, vault.journal.state(), { below, leastGain });
  const chosen = within(sparse, limitBytes);
  const moved = request.dryRun === true ? NOTHING : await moveAll(vault, survey, chosen, request);
  return {
    dryRun: request.dryRun === true,
    packs: survey.usage.packs,
    sparse: sumOf(sparse),
    chosen: sumOf(chosen),
    moved: moved.sums,
    problems: [...problems, ...moved.problems],
    seconds: (performance.now() - began) / 1000,
  };
}

interface Survey {
  readonly liveness: Liveness;
  readonly usage: PackUsage;
}

/** What every restore point uses, expired ones included, for as long as they are there. */
async function takeSurvey(vault: Vault): Promise<Survey> {
  for (;;) {
    const usage = newPackUsage();
    const liveness = newLiveness(vault, { used: usage.add });
    const state = await vault.journal.refresh();
    await liveness.count(state, NOBODY);
    if (liveness.problems.length === 0 || (await vault.journal.refresh()).position === state.position)
      return { liveness, usage };
  }
}

const NOBODY: ReadonlySet<string> = new Set();

function within(packs: readonly SparsePack[], limitBytes: number): SparsePack[] {
  let left = limitBytes;
  return packs.filter(({ cost }) => {
    if (cost > left) return false;
    left -= cost;
    return true;
  });
}

interface MovedSums {
  readonly sums: MoveReport['moved'];
  readonly problems: readonly LivenessProblem[];
}

const NOTHING: MovedSums = { sums: { packs: 0, bytes: 0, newPacks: 0, newBytes: 0 }, problems: [] };

async function moveAll(
  vault: Vault,
  survey: Survey,
  chosen: readonly SparsePack[],
  request: MoveRequest,
): Promise<MovedSums> {
  const sums = { ...NOTHING.sums };
  const problems: LivenessProblem[] = [];
  const totalBytes = sumOf(chosen).bytes;
  let doneBytes = 0;
  for (let at = 0; at < chosen.length; at += MOST_MOVED_PACKS) {
    request.signal?.throwIfAborted();
    // In the order in which disks use them: what was written together stays together.
    const batch = chosen.slice(at, at + MOST_MOVED_PACKS).sort((a, b) => a.number - b.number);
    const copy = await moveBatch(vault, survey, batch, request);
    problems.push(...copy.problems);
    for (const { size } of copy.fresh) {
      sums.newPacks++;
      sums.newBytes += size;
    }
    const gone = new Set(copy.moved);
    for (const { reference, size } of batch) {
      doneBytes += size;
      if (!gone.has(packName(reference))) continue;
      sums.packs++;
      sums.bytes += size;
    }
    request.onProgress?.({ doneBytes, totalBytes });
  }
  return { sums, problems };
}

interface MovedBatch extends Copy {
  /** Names of the packs that were emptied. */
  readonly moved: readonly string[];
}

async function moveBatch(
  vault: Vault,
  survey: Survey,
  batch: readonly SparsePack[],
  request: MoveRequest,
): Promise<MovedBatch> {
  for (let tries = 1; ; tries++) {
    const state = await vault.journal.refresh();
    const shelf = openPackShelf(vault);
    const copy = await copyPacks(vault, shelf, survey.usage, batch, request.level ?? LEVEL, request.signal);
    const copied = copy.packs.map(({ pack: { reference }, runs }) => ({ reference, runs }));
    const name = copied.length === 0 ? undefined : await writeMove(vault, { packs: movedPacks(copied, copy.fresh) });
    const move = name === undefined ? undefined : { name, fresh: copy.fresh, state };
    const moved = move === undefined ? [] : await moveCovered(vault, survey, copy, move, request.now);
    if (moved !== 'overtaken') {
      const old = new Set(moved);
      await relinkPacks(
        vault,
        copy.packs.filter(({ pack }) => old.has(packName(pack.reference))).map(({ pack }) => pack),
        moved.length === 0 ? [] : copy.fresh,
      );
      return { ...copy, moved };
    }
    if (tries === MOST_MOVE_TRIES) throw overtaken();
  }
}

/** Appends the move of what may be moved: what has all that any point of the head uses copied. Names of those packs. */
async function moveCovered(
  { journal }: Vault,
  { liveness, usage }: Survey,
  { packs }: Copy,
  move: WrittenMove,
  now: Date,
): Promise<readonly string[] | 'overtaken'> {
  const covered = () => packs.filter((copied) => isCovered(usage, copied)).map(({ pack }) => packName(pack.reference));
  const movable: Movable = (head) => (liveness.covers(head, NOBODY) ? covered() : undefined);
  for (;;) {
    const outcome = await appendMove(journal, move, movable, now);
    if (outcome !== 'undecided') return outcome;
    await liveness.count(journal.state(), NOBODY);
    if (liveness.problems.length > 0) return [];
  }
}

function isCovered(usage: PackUsage, { number, runs }: CopiedPack): boolean {
  return usage.runs(number).every(({ first, count }) => {
    let at = first;
    for (const run of runs) if (run.first <= at && run.first + run.count > at) at = run.first + run.count;
    return at >= first + count;
  });
}

function sumOf(packs: readonly SparsePack[]): MoveReport['sparse'] {
  return {
    packs: packs.length,
    bytes: packs.reduce((sum, { size }) => sum + size, 0),
    gain: packs.reduce((sum, { gain }) => sum + gain, 0),
  };
}

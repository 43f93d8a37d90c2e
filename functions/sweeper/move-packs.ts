import { EkkoError } from '#vault/errors.ts';
import { MOST_MOVED_PACKS, type MovedPack, type MovedRun } from '#vault/format/move.ts';
import { packName } from '#vault/format/pack.ts';
import { newestEpoch, type VaultState } from '#vault/journal/state.ts';
import { writeMove } from '#vault/records.ts';
import { openPackShelf } from '#vault/restore/trusted-pack.ts';
import type { Vault } from '#vault/vault.ts';
import { type CopiedPack, type Copy, copyPacks } from './copy-packs.ts';
import { type Liveness, type LivenessProblem, newLiveness } from './liveness.ts';
import type { MoveReport } from './move-report.ts';
import { newPackUsage, type PackUsage } from './pack-usage.ts';
import { relinkPacks } from './relink-packs.ts';
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

/** How often a batch is copied anew because a sweep took the copies for orphans. */
const MOST_TRIES = 4;

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
    const name = copy.packs.length === 0 ? undefined : await writeMove(vault, { packs: movedPacks(copy) });
    const moved = name === undefined ? [] : await appendMove(vault, survey, { name, copy, state }, request.now);
    if (moved !== 'overtaken') {
      const old = new Set(moved);
      await relinkPacks(
        vault,
        copy.packs.filter(({ pack }) => old.has(packName(pack.reference))).map(({ pack }) => pack),
        moved.length === 0 ? [] : copy.fresh,
      );
      return { ...copy, moved };
    }
    if (tries === MOST_TRIES) throw overtaken();
  }
}

function movedPacks({ packs, fresh }: Copy): MovedPack[] {
  return packs.map(({ pack, runs }) => ({
    pack: pack.reference,
    runs: runs.map(({ first, count, target, targetFirst }): MovedRun => {
      return { first, count, target: fresh[target]?.reference ?? '', targetFirst };
    }),
  }));
}

interface WrittenMove {
  readonly name: string;
  readonly copy: Copy;
  /** As it was before anything was copied. */
  readonly state: VaultState;
}

/** Appends the move of what may be moved; the names of those packs, none where there are none left. */
async function appendMove(
  { journal }: Vault,
  { liveness, usage }: Survey,
  move: WrittenMove,
  now: Date,
): Promise<readonly string[] | 'overtaken'> {
  for (;;) {
    let outcome: readonly string[] | 'overtaken' | 'uncounted' = 'uncounted';
    try {
      await journal.append((head) => {
        outcome = liveness.covers(head, NOBODY) ? judge(head, usage, move) : 'uncounted';
        if (typeof outcome === 'string' || outcome.length === 0) throw new Refrain();
        return { type: 'packs-moved', move: move.name, packs: outcome, at: now.toISOString() };
      });
    } catch (error) {
      if (!(error instanceof Refrain)) throw error;
    }
    if (outcome !== 'uncounted') return outcome;
    await liveness.count(journal.state(), NOBODY);
    if (liveness.problems.length > 0) return [];
  }
}

/** Leaves the append loop without an entry. */
class Refrain extends Error {}

/**
 * Which of the copied packs a head lets be moved: neither condemned nor moved, and every segment that a point uses copied. `overtaken`
 * where the copies themselves are condemned, or might have been and been forgotten: names are forgotten when the key is rotated.
 */
function judge(
  head: VaultState,
  usage: PackUsage,
  { name, copy, state }: WrittenMove,
): readonly string[] | 'overtaken' {
  const ours = [name, ...copy.fresh.map((pack) => pack.name)];
  if (newestEpoch(head) !== newestEpoch(state) || ours.some((each) => head.condemned.has(each))) return 'overtaken';
  return copy.packs
    .filter((copied) => isCovered(usage, copied))
    .map(({ pack }) => packName(pack.reference))
    .filter((pack) => !head.condemned.has(pack) && !head.moved.has(pack));
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

function overtaken(): EkkoError {
  return new EkkoError(
    'condemned',
    'Sweeps beside it took the new packs for left-overs, again and again. Nothing is lost; compact again when no sweep runs.',
  );
}

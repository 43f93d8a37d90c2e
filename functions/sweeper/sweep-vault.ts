import type { KeptObject } from '#vault/store/object-locking.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { NOTHING_KEPT, type StoredObject } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { GRACE_HOURS } from '#vault/words.ts';
import { condemn } from './condemn.ts';
import { type ExtensionReport, extendLocks } from './extend-locks.ts';
import { type ByKind, KINDS } from './inventory.ts';
import { groupKept, type LockedObjects, splitLocked, writeLocked } from './locked-objects.ts';
import { planSweep, type SweepPlan } from './plan-sweep.ts';
import { removeStraySamples } from './stray-samples.ts';
import { isLockedNote, isWaitingNote, type WaitingObjects, writeWaiting } from './sweep-notes.ts';
import { reportOf, type SweepOutcome, type SweepReport } from './sweep-report.ts';
import { unlinkPacks } from './unlink-packs.ts';
import { type SortedOrphans, sortUnlinked } from './waiting-orphans.ts';

export interface SweepRequest {
  readonly now: Date;
  /** How long after it expired a point may be condemned. Default: GRACE_HOURS. */
  readonly graceHours?: number;
  /** Say what would go, and change nothing. */
  readonly dryRun?: boolean;
  /** Also look through all samples for those of packs that are gone: a request for each. */
  readonly allSamples?: boolean;
  readonly onProgress?: (progress: SweepProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes removed so far, and how many there are to remove. */
export interface SweepProgress {
  readonly removedBytes: number;
  readonly totalBytes: number;
}

/**
 * Removes what nothing needs: expired points whose time has come, what only they needed, and what crashed and abandoned runs left.
 * Whatever runs beside it, and wherever it dies, nothing goes that a restore point needs: a name is condemned in the journal, decided on
 * its newest entry, before its object is removed. What one sweep leaves undone the next one finds.
 *
 * In a locked vault the store refuses to remove what is locked: that is left to a later sweep, and the locks of all else are extended.
 *
 * Where a page or manifest cannot be read, what it needs is not known: then of these only records of points and manifests go, and
 * `problems` says why. Throws `store-failed`, what the journal throws, and the signal's reason.
 */
export async function sweepVault(vault: Vault, request: SweepRequest): Promise<SweepReport> {
  const began = performance.now();
  const { now, graceHours = GRACE_HOURS, dryRun = false, signal } = request;
  const plan = await planSweep(vault, { now, graceHours, mayNote: !dryRun, signal });
  const outcome = dryRun ? await foreseen(vault, plan, request) : await perform(vault, plan, request);
  return reportOf(plan, outcome, dryRun, (performance.now() - began) / 1000);
}

/** What would become of it if nothing came between. */
async function foreseen(vault: Vault, plan: SweepPlan, request: SweepRequest): Promise<SweepOutcome> {
  const { due, sorted, state, locked } = plan;
  const unlinked = sortUnlinked(sorted, state);
  const runs = due.map(({ run }) => run);
  const queue = splitLocked(deadObjects(plan, unlinked.free, runs), locked, request.now);
  const locking = vault.description.lock === undefined ? undefined : vault.store.locking;
  const kept = (await locking?.kept(storedObjects(queue.free).map(({ key }) => key))) ?? NOTHING_KEPT;
  const { removed, locked: more } = groupKept(vault, queue.free, kept);
  const locks = await extend(vault, request);
  return { points: runs, objects: removed, samples: 0, sorted: unlinked, locked: [...queue.locked, ...more], locks };
}

async function perform(vault: Vault, plan: SweepPlan, request: SweepRequest): Promise<SweepOutcome> {
  const { due, liveness } = plan;
  const unlinked = await unlink(vault, plan.sorted);
  request.signal?.throwIfAborted();
  const condemned = await condemn(vault, { due, objects: unlinked.sorted.free }, liveness, request.now);
  await note(vault, plan, unlinked.sorted.waiting);
  const queue = splitLocked(deadObjects(plan, condemned.objects, condemned.points), plan.locked, request.now);
  const kept = await removeAll(vault, [...storedObjects(queue.free), ...leftBehind(plan)], request);
  const { removed, locked: more } = groupKept(vault, queue.free, kept);
  const locked = [...queue.locked, ...more];
  if (vault.description.lock !== undefined) await noteLocked(vault, plan, locked);
  const strays = request.allSamples === true ? await removeStraySamples(vault, liveness) : 0;
  const locks = await extend(vault, request);
  const samples = unlinked.samples + strays;
  return { points: condemned.points, objects: removed, samples, sorted: unlinked.sorted, locked, locks };
}

/** What was condemned before, what is now, and the records of points that go. */
function deadObjects({ dead, due, pointSizes }: SweepPlan, objects: ByKind, condemned: readonly string[]): ByKind {
  const gone = new Set(condemned);
  const records = due
    .filter(({ run }) => gone.has(run))
    .map(({ point }) => ({ name: point, size: pointSizes.get(point) ?? 0 }));
  return byKind((kind) => [...dead.condemned[kind], ...objects[kind], ...(kind === 'points' ? records : [])]);
}

/** What is condemned by now is left to its lock; all else stays locked. Of a replica nobody extends them. */
async function extend(vault: Vault, { dryRun = false, signal }: SweepRequest): Promise<ExtensionReport | undefined> {
  if (vault.description.lock === undefined || vault.store.locking === undefined) return undefined;
  return extendLocks(vault, { dryRun, signal });
}

/** Notes what need not be asked for again before its lock ends, in place of what was noted before. */
async function noteLocked(vault: Vault, { notes }: SweepPlan, locked: readonly LockedObjects[]): Promise<void> {
  const position = vault.journal.state().position;
  const written = locked.length === 0 ? undefined : await writeLocked(vault, position, locked);
  const old = notes.filter((key) => isLockedNote(key) && key !== written);
  if (old.length > 0) await vault.store.remove(old);
}

/** Takes their samples from packs that are about to go, so that runs which start from now on cannot come upon them. */
async function unlink(vault: Vault, sorted: SortedOrphans): Promise<{ sorted: SortedOrphans; samples: number }> {
  if (sorted.linked.length === 0) return { sorted, samples: 0 };
  const packs = sorted.linked.map(({ name }) => name);
  const samples = await unlinkPacks(vault, packs);
  return { sorted: sortUnlinked(sorted, await vault.journal.refresh()), samples };
}

/** Notes what the next sweep should know, then removes the notes that this one has used up. */
async function note(vault: Vault, { notes, pageNotes }: SweepPlan, waiting: readonly WaitingObjects[]): Promise<void> {
  const merged = await pageNotes.finish();
  const written = waiting.length === 0 ? undefined : await writeWaiting(vault, vault.journal.state().position, waiting);
  const old = [...merged, ...notes.filter((key) => isWaitingNote(key) && key !== written)];
  if (old.length > 0) await vault.store.remove(old);
}

function storedObjects(objects: ByKind): StoredObject[] {
  return KINDS.flatMap((kind) =>
    objects[kind].map(({ name, size }) => ({ key: contentKey(Folder[kind], name), size })),
  );
}

function leftBehind({ leftovers: { staging, receipts, states } }: SweepPlan): readonly StoredObject[] {
  return [...staging, ...receipts, ...states];
}

const KEYS_PER_REMOVAL = 1000;

/** Resolves to what is kept by its lock. */
async function removeAll(
  { store }: Vault,
  objects: readonly StoredObject[],
  request: SweepRequest,
): Promise<readonly KeptObject[]> {
  const kept: KeptObject[] = [];
  const totalBytes = sizeOf(objects);
  let removedBytes = 0;
  request.onProgress?.({ removedBytes, totalBytes });
  for (let at = 0; at < objects.length; at += KEYS_PER_REMOVAL) {
    request.signal?.throwIfAborted();
    const batch = objects.slice(at, at + KEYS_PER_REMOVAL);
    kept.push(...(await store.remove(batch.map(({ key }) => key))));
    removedBytes += sizeOf(batch);
    request.onProgress?.({ removedBytes, totalBytes });
  }
  return kept;
}

function sizeOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

function byKind(choose: (kind: keyof ByKind) => ByKind[keyof ByKind]): ByKind {
  return {
    points: choose('points'),
    manifests: choose('manifests'),
    pages: choose('pages'),
    moves: choose('moves'),
    packs: choose('packs'),
  };
}

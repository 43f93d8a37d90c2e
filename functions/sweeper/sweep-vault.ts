import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { StoredObject } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { GRACE_HOURS } from '#vault/words.ts';
import { condemn } from './condemn.ts';
import { type ByKind, KINDS } from './inventory.ts';
import { planSweep, type SweepPlan } from './plan-sweep.ts';
import { removeStraySamples } from './stray-samples.ts';
import { isWaitingNote, type WaitingObjects, writeWaiting } from './sweep-notes.ts';
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
 * Where a page or manifest cannot be read, what it needs is not known: then of these only records of points and manifests go, and
 * `problems` says why. Throws `store-failed`, what the journal throws, and the signal's reason.
 */
export async function sweepVault(vault: Vault, request: SweepRequest): Promise<SweepReport> {
  const began = performance.now();
  const { now, graceHours = GRACE_HOURS, dryRun = false, signal } = request;
  const plan = await planSweep(vault, { now, graceHours, mayNote: !dryRun, signal });
  const outcome = dryRun ? foreseen(plan) : await perform(vault, plan, request);
  return reportOf(plan, outcome, dryRun, (performance.now() - began) / 1000);
}

/** What would become of it if nothing came between. */
function foreseen({ due, dead, sorted, state }: SweepPlan): SweepOutcome {
  const unlinked = sortUnlinked(sorted, state);
  const objects = byKind((kind) => [...dead.condemned[kind], ...unlinked.free[kind]]);
  return { points: due.map(({ run }) => run), objects, samples: 0, sorted: unlinked };
}

async function perform(vault: Vault, plan: SweepPlan, request: SweepRequest): Promise<SweepOutcome> {
  const { dead, due, liveness } = plan;
  const unlinked = await unlink(vault, plan.sorted);
  request.signal?.throwIfAborted();
  const condemned = await condemn(vault, { due, objects: unlinked.sorted.free }, liveness, request.now);
  await note(vault, plan, unlinked.sorted.waiting);
  const objects = byKind((kind) => [...dead.condemned[kind], ...condemned.objects[kind]]);
  await removeAll(
    vault,
    [...pointRecords(plan, condemned.points), ...storedObjects(objects), ...leftBehind(plan)],
    request,
  );
  const strays = request.allSamples === true ? await removeStraySamples(vault, liveness) : 0;
  return { points: condemned.points, objects, samples: unlinked.samples + strays, sorted: unlinked.sorted };
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

function pointRecords({ due, pointSizes }: SweepPlan, condemned: readonly string[]): StoredObject[] {
  const gone = new Set(condemned);
  const names = due.filter(({ run }) => gone.has(run)).map(({ point }) => point);
  return names.map((name) => ({ key: contentKey(Folder.points, name), size: pointSizes.get(name) ?? 0 }));
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

async function removeAll({ store }: Vault, objects: readonly StoredObject[], request: SweepRequest): Promise<void> {
  const totalBytes = sizeOf(objects);
  let removedBytes = 0;
  request.onProgress?.({ removedBytes, totalBytes });
  for (let at = 0; at < objects.length; at += KEYS_PER_REMOVAL) {
    request.signal?.throwIfAborted();
    const batch = objects.slice(at, at + KEYS_PER_REMOVAL);
    await store.remove(batch.map(({ key }) => key));
    removedBytes += sizeOf(batch);
    request.onProgress?.({ removedBytes, totalBytes });
  }
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

import type { ExpiredPoint, VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { type ExpiringPoints, expiringPoints } from './expiring-points.ts';
import { type ByKind, type DeadObjects, findDead } from './inventory.ts';
import { findLeftovers, type Leftovers, ofEndedRuns } from './leftovers.ts';
import { type Liveness, newLiveness } from './liveness.ts';
import { type LockedObjects, readLocked } from './locked-objects.ts';
import { openPageNotes, type PageNotes } from './page-notes.ts';
import { listNotes, readWaiting } from './sweep-notes.ts';
import { type SortedOrphans, sortOrphans } from './waiting-orphans.ts';

/** What a sweep has found, before it changes anything. */
export interface SweepPlan extends ExpiringPoints {
  readonly state: VaultState;
  readonly liveness: Liveness;
  readonly dead: DeadObjects;
  readonly sorted: SortedOrphans;
  readonly leftovers: Leftovers;
  /** Bytes of the records of expired points, by name. */
  readonly pointSizes: ReadonlyMap<string, number>;
  /** Keys of the notes of earlier sweeps. */
  readonly notes: readonly string[];
  readonly pageNotes: PageNotes;
  /** Condemned objects that were kept by their locks when they were to be removed. */
  readonly locked: readonly LockedObjects[];
}

export interface PlanRequest {
  readonly now: Date;
  readonly graceHours: number;
  /** Whether pages that were read may be noted. */
  readonly mayNote: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Looks, and changes nothing but notes. Throws `store-failed`, what the journal throws, and the signal's reason. */
export async function planSweep(vault: Vault, request: PlanRequest): Promise<SweepPlan> {
  const { now, graceHours, signal } = request;
  const notes = await listNotes(vault);
  const { liveness, pageNotes } = await countLive(vault, notes, request);
  signal?.throwIfAborted();
  const before = vault.journal.state();
  const dead = await findDead(vault.store, before, liveness);
  const listed = await findLeftovers(vault.store, before);
  const noted = await readWaiting(vault, notes);
  const locked = await readLocked(vault, notes);
  // Read after the listings: every run that has made or named what they show is in it, if it is still open.
  const state = await vault.journal.refresh();
  const expiring = expiringPoints(state, now, graceHours);
  return {
    ...expiring,
    ...{ state, liveness, dead, notes, pageNotes, locked },
    sorted: sortOrphans(withoutDue(dead.orphans, expiring.due), noted, state),
    leftovers: ofEndedRuns(listed, state),
    pointSizes: new Map(dead.orphans.points.map(({ name, size }) => [name, size])),
  };
}

/** Counts until nothing has come meanwhile that could explain why a record is not there. */
async function countLive(
  vault: Vault,
  noteKeys: readonly string[],
  { now, graceHours, mayNote }: PlanRequest,
): Promise<{ readonly liveness: Liveness; readonly pageNotes: PageNotes }> {
  for (;;) {
    const state = await vault.journal.refresh();
    const pageNotes = openPageNotes(vault, noteKeys, state.position);
    const liveness = newLiveness(vault, { notes: mayNote ? pageNotes : { ...pageNotes, add: async () => undefined } });
    await liveness.count(state, new Set(expiringPoints(state, now, graceHours).due.map(({ run }) => run)));
    if (liveness.problems.length === 0) return { liveness, pageNotes };
    const { position } = await vault.journal.refresh();
    if (position === state.position) return { liveness, pageNotes };
  }
}

/** Points that are due are condemned as points, not as objects that nobody knows. */
function withoutDue(orphans: ByKind, due: readonly ExpiredPoint[]): ByKind {
  const known = new Set(due.map(({ point }) => point));
  return { ...orphans, points: orphans.points.filter(({ name }) => !known.has(name)) };
}

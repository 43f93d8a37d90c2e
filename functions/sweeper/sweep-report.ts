import type { CommittedPoint, ExpiredPoint } from '#vault/journal/state.ts';
import type { PointDelay } from './expiring-points.ts';
import type { ExtensionReport } from './extend-locks.ts';
import type { ByKind } from './inventory.ts';
import type { LivenessProblem } from './liveness.ts';
import type { LockedObjects } from './locked-objects.ts';
import type { SweepPlan } from './plan-sweep.ts';
import type { SortedOrphans } from './waiting-orphans.ts';

/** Kinds of objects that a sweep removes. */
export const SWEPT_KINDS = [
  'points',
  'manifests',
  'pages',
  'moves',
  'packs',
  'staging',
  'receipts',
  'states',
  'samples',
] as const;
export type SweptKind = (typeof SWEPT_KINDS)[number];

export interface Tally {
  readonly objects: number;
  readonly bytes: number;
}

/** What a sweep did, or, dry, would do. Bytes are as stored. */
export interface SweepReport {
  readonly dryRun: boolean;
  /** Restore points that are gone for good. */
  readonly points: readonly SweptPoint[];
  /** Expired points that are still there, and why. */
  readonly delayed: readonly DelayedPoint[];
  /** Objects removed, by kind. Of samples the bytes are not known, and a dry run knows nothing of them. */
  readonly removed: Readonly<Record<SweptKind, Tally>>;
  /** Objects that no point needs, but that an open run might. */
  readonly waiting: Tally & { readonly runs: readonly string[] };
  /** Condemned objects that their locks keep: when the first of these ends, and the last. They are removed by a later sweep. */
  readonly locked: Tally & { readonly from?: string; readonly until?: string };
  /** Undefined in a vault that is not locked. */
  readonly locks?: ExtensionReport | undefined;
  /** Packs that were looked at. */
  readonly packs: number;
  /** Records that cannot be read: while there are any, no page, move or pack is condemned. */
  readonly problems: readonly LivenessProblem[];
  readonly seconds: number;
}

export type SweptPoint = Pick<CommittedPoint, 'run' | 'group' | 'takenAt'>;
export type DelayedPoint = SweptPoint & Pick<ExpiredPoint, 'expiredAt'> & { readonly delay: PointDelay };

/** What a sweep has removed, or would remove. */
export interface SweepOutcome {
  /** By run. */
  readonly points: readonly string[];
  readonly objects: ByKind;
  readonly samples: number;
  readonly sorted: SortedOrphans;
  /** What was to be removed and is kept by its locks. */
  readonly locked: readonly LockedObjects[];
  readonly locks?: ExtensionReport | undefined;
}

export function reportOf(plan: SweepPlan, outcome: SweepOutcome, dryRun: boolean, seconds: number): SweepReport {
  const { delayed, dead, leftovers, liveness } = plan;
  const { objects, sorted } = outcome;
  const gone = new Set(outcome.points);
  const points = plan.due.filter(({ run }) => gone.has(run));
  return {
    dryRun,
    points: points.map(sweptPoint),
    delayed: delayed.map(({ point, delay }) => ({ ...sweptPoint(point), expiredAt: point.expiredAt, delay })),
    removed: {
      points: tally(objects.points),
      manifests: tally(objects.manifests),
      pages: tally(objects.pages),
      moves: tally(objects.moves),
      packs: tally(objects.packs),
      staging: tally(leftovers.staging),
      receipts: tally(leftovers.receipts),
      states: tally(leftovers.states),
      samples: { objects: outcome.samples, bytes: 0 },
    },
    waiting: { ...tally(sorted.waitingObjects), runs: [...new Set(sorted.waiting.flatMap(({ runs }) => runs))] },
    locked: lockedTally(outcome.locked),
    locks: outcome.locks,
    packs: dead.packs,
    problems: liveness.problems,
    seconds,
  };
}

export function lockedTally(locked: readonly LockedObjects[]): SweepReport['locked'] {
  const ends = locked.map(({ until }) => until).sort();
  const [from, until] = [ends[0], ends.at(-1)];
  const objects = locked.reduce((sum, { names }) => sum + names.length, 0);
  const bytes = locked.reduce((sum, group) => sum + group.bytes, 0);
  return { objects, bytes, ...(from === undefined || until === undefined ? {} : { from, until }) };
}

function sweptPoint({ run, group, takenAt }: CommittedPoint): SweptPoint {
  return { run, group, takenAt };
}

function tally(objects: readonly { readonly size: number }[]): Tally {
  return { objects: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}

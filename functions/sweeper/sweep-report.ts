import type { CommittedPoint, ExpiredPoint } from '#vault/journal/state.ts';
import type { PointDelay } from './expiring-points.ts';
import type { ByKind } from './inventory.ts';
import type { LivenessProblem } from './liveness.ts';
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
}

export function reportOf(plan: SweepPlan, outcome: SweepOutcome, dryRun: boolean, seconds: number): SweepReport {
  const { delayed, dead, leftovers, liveness, pointSizes } = plan;
  const { objects, sorted } = outcome;
  const gone = new Set(outcome.points);
  const points = plan.due.filter(({ run }) => gone.has(run));
  return {
    dryRun,
    points: points.map(sweptPoint),
    delayed: delayed.map(({ point, delay }) => ({ ...sweptPoint(point), expiredAt: point.expiredAt, delay })),
    removed: {
      points: tally([...objects.points, ...points.map(({ point }) => ({ size: pointSizes.get(point) ?? 0 }))]),
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
    packs: dead.packs,
    problems: liveness.problems,
    seconds,
  };
}

function sweptPoint({ run, group, takenAt }: CommittedPoint): SweptPoint {
  return { run, group, takenAt };
}

function tally(objects: readonly { readonly size: number }[]): Tally {
  return { objects: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}

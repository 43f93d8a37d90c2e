import type { ExpiredPoint, VaultState } from '#vault/journal/state.ts';

/** Why an expired point is not condemned yet. */
export type PointDelay = 'grace' | 'held' | 'run';

export interface ExpiringPoints {
  /** Those whose time has come. */
  readonly due: readonly ExpiredPoint[];
  /** The others, with the reason. */
  readonly delayed: readonly { readonly point: ExpiredPoint; readonly delay: PointDelay }[];
}

const HOUR_MS = 3_600_000;

/**
 * Which expired points may be condemned: those that expired `graceHours` ago, that no hold keeps, and that no open run can count
 * from, as one that started before the point expired might. All but the hold is courtesy: safety knows no clock and no run.
 */
export function expiringPoints(state: VaultState, now: Date, graceHours: number): ExpiringPoints {
  const held = new Set([...state.holds.values()].flatMap(({ points }) => points));
  const due: ExpiredPoint[] = [];
  const delayed: { point: ExpiredPoint; delay: PointDelay }[] = [];
  for (const point of state.expired.values()) {
    const delay = delayOf(state, point, held, now.getTime() - graceHours * HOUR_MS);
    if (delay === undefined) due.push(point);
    else delayed.push({ point, delay });
  }
  return { due, delayed };
}

function delayOf(
  { openRuns }: VaultState,
  { run, expiredAt }: ExpiredPoint,
  held: ReadonlySet<string>,
  dueBefore: number,
): PointDelay | undefined {
  if (held.has(run)) return 'held';
  const expired = Date.parse(expiredAt);
  if (expired > dueBefore) return 'grace';
  return [...openRuns.values()].some(({ at }) => Date.parse(at) <= expired) ? 'run' : undefined;
}

/** Of points that were to be condemned, the runs of those that still may be: neither brought back nor held since. */
export function stillDue(state: VaultState, due: readonly ExpiredPoint[]): ReadonlySet<string> {
  const held = new Set([...state.holds.values()].flatMap(({ points }) => points));
  return new Set(due.map(({ run }) => run).filter((run) => state.expired.has(run) && !held.has(run)));
}

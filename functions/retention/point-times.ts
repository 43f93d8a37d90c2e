import type { CommittedPoint } from '#vault/journal/state.ts';

/** A restore point with the time that the rules go by. In lists: in the order of their commits. */
export interface TimedPoint {
  readonly run: string;
  /** Milliseconds since 1970, UTC. */
  readonly time: number;
}

/** A backup that takes longer counts as taken at its commit. */
const LONGEST_BACKUP_MS = 24 * 3_600_000;

/**
 * When a point was taken, as far as that can be: not after its commit, nor long before it; else at its commit. Who takes a backup says
 * `takenAt`, who commits it says `at`: the first can date it neither into periods that are long over nor into ones to come. A copy is
 * as old as its original.
 */
export function timeOf({ takenAt, at, copyOf }: Pick<CommittedPoint, 'takenAt' | 'at' | 'copyOf'>): number {
  const [taken, committed] = [Date.parse(takenAt), Date.parse(at)];
  // The journal checks the form of a time, not that there is such a day.
  if (Number.isNaN(committed)) return Number.isNaN(taken) ? 0 : taken;
  const longest = copyOf === undefined ? LONGEST_BACKUP_MS : Number.POSITIVE_INFINITY;
  return taken <= committed && committed - taken <= longest ? taken : committed;
}

export function timedPoint(point: CommittedPoint): TimedPoint {
  return { run: point.run, time: timeOf(point) };
}

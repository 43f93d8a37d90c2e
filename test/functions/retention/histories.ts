import type { JournalEntry, RetentionPolicy } from '#vault/journal/entries.ts';
import {
  type CommittedPoint,
  EMPTY_STATE,
  type Hold,
  type SetRetention,
  type VaultState,
} from '#vault/journal/state.ts';
import { nameFor, runFor } from '../vault/journal/histories.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** A Friday. */
export const NOON = Date.UTC(2026, 10, 20, 12);

/** The `n`-th point of group `web`, taken and committed at `time`. */
export function pointAt(n: number, time: number, change: Partial<CommittedPoint> = {}): CommittedPoint {
  const at = new Date(time).toISOString();
  const disks = [{ name: 'vda', size: 1, manifest: nameFor(`manifest ${n}`) }];
  return {
    run: runFor(n),
    group: 'web',
    point: nameFor(`point ${n}`),
    takenAt: at,
    at,
    disks,
    position: n + 2,
    ...change,
  };
}

/** One point a day, the last one at `NOON`. */
export function dailyPoints(count: number): CommittedPoint[] {
  return Array.from({ length: count }, (_, i) => pointAt(i, NOON - (count - 1 - i) * DAY));
}

export function stateOf(
  points: readonly CommittedPoint[],
  retention: Readonly<Record<string, SetRetention>> = {},
  holds: readonly Hold[] = [],
): VaultState {
  return {
    ...EMPTY_STATE,
    position: points.length + 2,
    points: new Map(points.map((point) => [point.run, point])),
    retention: new Map(Object.entries(retention)),
    holds: new Map(holds.map((hold) => [hold.hold, hold])),
  };
}

/** A policy that was confirmed long ago. */
export function confirmed(policy: RetentionPolicy): SetRetention {
  return { policy, confirmed: true, at: '2020-01-01T00:00:00.000Z' };
}

export function holdOn(n: number, kind: Hold['kind'] = 'legal'): Hold {
  return {
    hold: `case ${n}`,
    kind,
    points: [runFor(n)],
    reason: 'audit',
    host: 'desk',
    at: '2026-11-20T12:00:00.000Z',
  };
}

/** The entries that make a point. */
export function entriesOf({ position: _, ...point }: CommittedPoint): JournalEntry[] {
  const { run, group, at } = point;
  return [
    { type: 'run-started', run, group, disks: ['vda'], host: 'desk', at },
    { type: 'point-committed', ...point },
  ];
}

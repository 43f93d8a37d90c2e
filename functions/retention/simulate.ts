import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { openCalendar } from './periods.ts';
import type { TimedPoint } from './point-times.ts';
import { judgePoints, type KeptByRule } from './rules.ts';

/** Points that might be taken: one each `everyMs` milliseconds, for `forMs`. */
export interface Schedule {
  readonly from: number;
  readonly everyMs: number;
  readonly forMs: number;
}

export interface Simulation {
  /** Points that were taken in all. */
  readonly made: number;
  /** What stands at the end, in commit order; by rule, why. */
  readonly stands: readonly { readonly run: string; readonly time: number; readonly keptBy: readonly KeptByRule[] }[];
  /** How many of these each rule keeps; one point may be kept by several. */
  readonly byRule: Readonly<Record<string, number>>;
  /** The most that ever stood at once. */
  readonly most: number;
}

/** Bounds what a schedule can make us do: an hourly one for more than a year. */
export const MOST_SIMULATED = 10_000;

/** The points of a schedule; their ids begin with `+`. */
export function scheduled({ from, everyMs, forMs }: Schedule): TimedPoint[] {
  const count = Math.min(Math.floor(forMs / everyMs), MOST_SIMULATED);
  return Array.from({ length: count }, (_, i) => ({ run: `+${i + 1}`, time: from + (i + 1) * everyMs }));
}

/**
 * What a policy would have made of these points, in commit order, had it been applied after each of them, and nothing been held or
 * damaged. Throws `bad-input` for an unknown time zone.
 */
export function simulate(points: readonly TimedPoint[], policy: RetentionPolicy): Simulation {
  const calendar = openCalendar(policy.timeZone);
  let standing: readonly TimedPoint[] = [];
  let judged: ReadonlyMap<string, readonly KeptByRule[]> = new Map();
  let [most, today] = [0, 0];
  for (const point of points) {
    today = Math.max(today, point.time);
    const all = [...standing, point];
    const rules = judgePoints(all, policy, calendar, today);
    standing = all.filter(({ run }) => (rules.get(run) ?? []).length > 0);
    judged = rules;
    most = Math.max(most, standing.length);
  }
  const stands = standing.map(({ run, time }) => ({ run, time, keptBy: judged.get(run) ?? [] }));
  return { made: points.length, stands, byRule: countRules(stands), most };
}

function countRules(stands: Simulation['stands']): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { rule } of stands.flatMap(({ keptBy }) => keptBy)) counts[rule] = (counts[rule] ?? 0) + 1;
  return counts;
}

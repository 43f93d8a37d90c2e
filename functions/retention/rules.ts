import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { BUCKET_RULES, type BucketRule, type Calendar } from './periods.ts';
import type { TimedPoint } from './point-times.ts';

/** A rule that keeps a point, and where the point stands in it. */
export type KeptByRule =
  | { readonly rule: 'last'; readonly rank: number; readonly of: number }
  | { readonly rule: BucketRule; readonly rank: number; readonly of: number; readonly period: number }
  | { readonly rule: 'within'; readonly hours: number; readonly until: number };

/** Judges the points one by one, the newest commit first. */
type Judge = (point: TimedPoint) => KeptByRule | undefined;

const HOUR_MS = 3_600_000;

/**
 * Which rules of a policy keep which of a group's points, by run; a point that none keeps has an empty list.
 *
 * What makes a point go is always one that was committed after it *and* is dated into its period or a later one: where clocks were wrong
 * for a while, points stay longer. A point that is dated later than `now` makes none go by its date.
 */
export function judgePoints(
  points: readonly TimedPoint[],
  policy: RetentionPolicy,
  calendar: Calendar,
  now: number,
): Map<string, readonly KeptByRule[]> {
  const judges = judgesOf(policy, calendar, now);
  const judged = points.toReversed().map((point): [string, readonly KeptByRule[]] => {
    const kept = judges.map((judge) => judge(point)).filter((rule) => rule !== undefined);
    return [point.run, kept];
  });
  return new Map(judged.reverse());
}

function judgesOf(policy: RetentionPolicy, calendar: Calendar, now: number): Judge[] {
  const buckets = BUCKET_RULES.map((rule) => bucketJudge(rule, policy[rule] ?? 0, calendar, now));
  return [lastJudge(policy.last ?? 0), ...buckets, withinJudge(policy.withinHours ?? 0, now)];
}

function lastJudge(of: number): Judge {
  let rank = 0;
  return () => (++rank <= of ? { rule: 'last', rank, of } : undefined);
}

/** Keeps the newest point of a period unless `of` later periods have points that were committed after it. */
function bucketJudge(rule: BucketRule, of: number, calendar: Calendar, now: number): Judge {
  /** Distinct, ascending: periods of the points that were committed later. */
  const later: number[] = [];
  return ({ time }) => {
    if (of === 0) return undefined;
    const period = calendar.periodOf(rule, time);
    const place = placeIn(later, period);
    const isNewest = later[place] !== period;
    const rank = later.length - place + 1;
    if (isNewest && time <= now) later.splice(place, 0, period);
    return isNewest && rank <= of ? { rule, rank, of, period } : undefined;
  };
}

/** Counts back from the newest point that was committed later, not from the clock: a machine that is off loses nothing. */
function withinJudge(hours: number, now: number): Judge {
  let newest = Number.NEGATIVE_INFINITY;
  return ({ time }) => {
    const until = time + hours * HOUR_MS;
    const kept = hours > 0 && newest <= until;
    if (time <= now) newest = Math.max(newest, time);
    return kept ? { rule: 'within', hours, until } : undefined;
  };
}

/** Where `value` stands, or would, in an ascending list. */
function placeIn(ascending: readonly number[], value: number): number {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((ascending[middle] ?? 0) < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

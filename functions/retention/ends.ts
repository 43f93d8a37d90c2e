import { type Calendar, openCalendar } from './periods.ts';
import type { GroupPlan, JudgedPoint, Keeping } from './plan-group.ts';
import type { KeptByRule } from './rules.ts';

/** When a point that stays can go at the earliest. That it goes then needs new points: nothing goes by time alone. */
export interface End {
  /** Milliseconds since 1970, UTC, not before the plan's `now`; undefined: not while things are as they are. */
  readonly notBefore: number | undefined;
  /** What must come before each of its rules lets it go: so many points, or points of so many later periods. */
  readonly needs: readonly Need[];
}

export type Need =
  | {
      readonly rule: KeptByRule['rule'] | 'newest';
      readonly more: number;
      /** Whether any points will do, or only such of later periods. */
      readonly of: 'points' | 'periods';
      readonly notBefore: number;
    }
  | { readonly rule: 'waiting'; readonly notBefore: number };

/** For each point of the plan that stays, by run, when it can go. `now`: milliseconds since 1970, UTC, as the plan was made with. */
export function endsOf(plan: GroupPlan, now: number): Map<string, End> {
  const calendar = openCalendar(plan.policy?.policy.timeZone ?? 'UTC');
  const newest = plan.points.reduce((latest, { time }) => (time <= now ? Math.max(latest, time) : latest), 0);
  const staying = plan.points.filter(({ keptBy, heldBy }) => keptBy.length + heldBy.length > 0);
  return new Map(staying.map((point) => [point.run, endOf(point, calendar, newest, now)]));
}

function endOf({ keptBy, heldBy }: JudgedPoint, calendar: Calendar, newest: number, now: number): End {
  const needs = keptBy.flatMap((keeping) => needOf(keeping, calendar, newest, now) ?? []);
  if (heldBy.length > 0 || needs.length < keptBy.length) return { notBefore: undefined, needs };
  return { notBefore: needs.reduce((latest, { notBefore }) => Math.max(latest, notBefore), now), needs };
}

function needOf(keeping: Keeping, calendar: Calendar, newest: number, now: number): Need | undefined {
  switch (keeping.rule) {
    case 'no-policy':
    case 'newest-good':
      return undefined;
    case 'newest':
      return { rule: 'newest', more: 1, of: 'points', notBefore: now };
    case 'waiting':
      return { rule: 'waiting', notBefore: Math.max(now, keeping.until) };
    case 'last':
      return { rule: 'last', more: keeping.of - keeping.rank + 1, of: 'points', notBefore: now };
    case 'within':
      return { rule: 'within', more: 1, of: 'points', notBefore: Math.max(now, keeping.until) };
    default: {
      const { rule, rank, of, period } = keeping;
      const current = calendar.periodOf(rule, now);
      // The period is not over: another point of it takes the place.
      if (period >= current) return { rule, more: 1, of: 'points', notBefore: now };
      const more = of - rank + 1;
      const first = Math.max(calendar.after(rule, calendar.periodOf(rule, newest), 1), current);
      return { rule, more, of: 'periods', notBefore: Math.max(now, calendar.after(rule, first, more - 1)) };
    }
  }
}

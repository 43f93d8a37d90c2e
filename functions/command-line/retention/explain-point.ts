import type { End, Need } from '../../retention/ends.ts';
import { openCalendar } from '../../retention/periods.ts';
import type { JudgedPoint, Keeping } from '../../retention/plan-group.ts';

/** Why a point stays, and when it goes. */
export interface ExplainedPoint {
  readonly id: string;
  readonly takenAt: string;
  /** `daily 3 of 7: 2026-11-20`; empty where no rule keeps it. */
  readonly keptBy: readonly string[];
  /** Legal holds, by name. */
  readonly heldBy: readonly string[];
  /** It stays, for now. */
  readonly stays: boolean;
  /** The earliest time at which it can go; undefined: it goes now, or nobody can know. */
  readonly goesNotBefore: string | undefined;
  /** What must come before all of its rules let it go: `2 more points`, `points of 5 later days`. */
  readonly goesAfter: readonly string[];
}

export function explainPoint(point: JudgedPoint, end: End | undefined, timeZone: string): ExplainedPoint {
  const { run, takenAt, keptBy, heldBy } = point;
  const notBefore = end?.notBefore;
  return {
    id: run,
    takenAt,
    keptBy: keptBy.map((keeping) => keepingWords(keeping, timeZone)),
    heldBy,
    stays: end !== undefined,
    goesNotBefore: notBefore === undefined || Number.isNaN(notBefore) ? undefined : new Date(notBefore).toISOString(),
    goesAfter: needWords(end?.needs ?? []),
  };
}

/** `daily 3 of 7: 2026-11-20` */
export function keepingWords(keeping: Keeping, timeZone: string): string {
  switch (keeping.rule) {
    case 'last':
      return `last ${keeping.rank} of ${keeping.of}`;
    case 'within':
      return `within ${keeping.hours} h of the newest`;
    case 'newest':
      return 'the newest';
    case 'newest-good':
      return 'the newest that is not damaged';
    case 'no-policy':
      return 'there is no policy';
    case 'waiting':
      return 'the changed policy waits';
    default: {
      const { rule, rank, of, period } = keeping;
      return `${rule} ${rank} of ${of}: ${openCalendar(timeZone).nameOf(rule, period)}`;
    }
  }
}

const PERIODS: Readonly<Record<string, string>> = {
  hourly: 'hour',
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
  yearly: 'year',
};

/** Rules that any points satisfy are told as one: the one that needs the most. */
function needWords(needs: readonly Need[]): string[] {
  const counted = needs.filter((need) => need.rule !== 'waiting');
  const points = Math.max(0, ...counted.filter((need) => need.of === 'points').map(({ more }) => more));
  const periods = counted.filter((need) => need.of === 'periods');
  return [
    ...(needs.length > counted.length ? ['the day that the changed policy waits'] : []),
    ...(points > (periods.length > 0 ? 1 : 0) ? [points === 1 ? 'the next point' : `${points} more points`] : []),
    ...periods.map(({ rule, more }) => periodWords(PERIODS[rule] ?? rule, more)),
  ];
}

function periodWords(period: string, more: number): string {
  return more === 1 ? `a point of a later ${period}` : `points of ${more} later ${period}s`;
}

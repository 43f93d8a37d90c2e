import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { openCalendar } from './periods.ts';
import { type TimedPoint, timedPoint } from './point-times.ts';
import { type GroupPolicy, policyOf } from './policy-in-force.ts';
import { judgePoints, type KeptByRule } from './rules.ts';

/** Why a point stays, holds aside. */
export type Keeping =
  | KeptByRule
  /** The newest point of a group is always kept, and the newest of which nothing is known to be damaged. */
  | { readonly rule: 'newest' | 'newest-good' }
  | { readonly rule: 'no-policy' }
  /** The policy was changed: what was kept before stays until the change has waited its day. */
  | { readonly rule: 'waiting'; readonly until: number };

export interface JudgedPoint {
  readonly run: string;
  readonly takenAt: string;
  /** When it counts as taken: milliseconds since 1970, UTC. */
  readonly time: number;
  /** Empty: no rule keeps it. */
  readonly keptBy: readonly Keeping[];
  /** Legal holds that keep it all the same. */
  readonly heldBy: readonly string[];
}

export interface GroupPlan {
  readonly group: string;
  readonly policy: GroupPolicy | undefined;
  /** In commit order. */
  readonly points: readonly JudgedPoint[];
  /** The points that nothing keeps, by run, in commit order. */
  readonly going: readonly string[];
  /** More would go at once than goes unless somebody confirms it. */
  readonly tooMany: TooMany | undefined;
}

export interface TooMany {
  /** Points that are older than a week, and how many of them would go. */
  readonly old: number;
  readonly going: number;
}

const OLD_MS = 7 * 24 * 3_600_000;
/** So many old points may go at once whatever share of all they are. */
const FEW = 3;

/**
 * What becomes of the points of a group at `now` (milliseconds since 1970, UTC). `newestGood` is the run of the newest point of which
 * nothing is known to be damaged. Throws `bad-input` when this machine does not know the policy's time zone.
 */
export function planGroup(state: VaultState, group: string, newestGood: string | undefined, now: number): GroupPlan {
  const committed = pointsOf(state, group);
  const policy = policyOf(state, group, now);
  const timed = committed.map(timedPoint);
  const judged = judge(timed, policy, now);
  const holds = legalHolds(state);
  const newest = committed.at(-1)?.run;
  const points = committed.map(({ run, takenAt }, at): JudgedPoint => {
    const always: Keeping[] = [];
    if (run === newest) always.push({ rule: 'newest' });
    else if (run === newestGood) always.push({ rule: 'newest-good' });
    const keptBy = [...(judged.get(run) ?? []), ...always];
    return { run, takenAt, time: timed[at]?.time ?? 0, keptBy, heldBy: holds.get(run) ?? [] };
  });
  const going = points.filter(({ keptBy, heldBy }) => keptBy.length + heldBy.length === 0).map(({ run }) => run);
  return { group, policy, points, going, tooMany: tooMany(committed, new Set(going), now) };
}

/** The groups that have points, by name. */
export function groupsOf({ points }: Pick<VaultState, 'points'>): string[] {
  return [...new Set([...points.values()].map(({ group }) => group))].sort();
}

/** A group's points in commit order. */
export function pointsOf({ points }: Pick<VaultState, 'points'>, group: string): CommittedPoint[] {
  return [...points.values()].filter((point) => point.group === group);
}

function judge(
  points: readonly TimedPoint[],
  policy: GroupPolicy | undefined,
  now: number,
): Map<string, readonly Keeping[]> {
  if (policy === undefined) return new Map(points.map(({ run }) => [run, [{ rule: 'no-policy' }]]));
  const { wait } = policy;
  const kept = judgeBy(points, policy.policy, now);
  if (wait === undefined) return kept;
  const before = wait.previous === undefined ? undefined : judgeBy(points, wait.previous, now);
  return new Map(
    points.map(({ run }): [string, readonly Keeping[]] => {
      const rules = kept.get(run) ?? [];
      const stayed = before === undefined || (before.get(run) ?? []).length > 0;
      return [run, rules.length === 0 && stayed ? [{ rule: 'waiting', until: wait.until }] : rules];
    }),
  );
}

function judgeBy(points: readonly TimedPoint[], policy: RetentionPolicy, now: number) {
  return judgePoints(points, policy, openCalendar(policy.timeZone), now);
}

/** Names of the legal holds of each point that has any. */
function legalHolds({ holds }: Pick<VaultState, 'holds'>): Map<string, string[]> {
  const byRun = new Map<string, string[]>();
  for (const { hold, kind, points } of holds.values()) {
    if (kind !== 'legal') continue;
    for (const run of points) byRun.set(run, [...(byRun.get(run) ?? []), hold]);
  }
  return byRun;
}

/**
 * What goes at once is bounded: of the points that were committed more than a week ago at most half, or three. A clock that was set back
 * makes no point younger than it is to the newest one.
 */
function tooMany(points: readonly CommittedPoint[], going: ReadonlySet<string>, now: number): TooMany | undefined {
  const times = points.map(({ at }) => Date.parse(at)).filter((time) => !Number.isNaN(time));
  const today = times.reduce((latest, time) => Math.max(latest, time), now);
  // A time that cannot be read is not `<`, and counts as old.
  const old = points.filter(({ at }) => !(Date.parse(at) > today - OLD_MS));
  const goingOld = old.filter(({ run }) => going.has(run)).length;
  return goingOld > FEW && goingOld > old.length / 2 ? { old: old.length, going: goingOld } : undefined;
}

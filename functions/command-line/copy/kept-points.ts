import type { VaultState } from '#vault/journal/state.ts';
import { openCalendar } from '../../retention/periods.ts';
import { groupsOf, pointsOf } from '../../retention/plan-group.ts';
import { timedPoint } from '../../retention/point-times.ts';
import { readPolicy } from '../../retention/policy-text.ts';
import { judgePoints } from '../../retention/rules.ts';

/** Runs of the points that retention rules such as `daily=7,monthly=12` would keep of each group at `now`. Throws `bad-input`. */
export function keptPoints(state: Pick<VaultState, 'points'>, rules: string, now: Date): ReadonlySet<string> {
  const policy = readPolicy(rules, Intl.DateTimeFormat().resolvedOptions().timeZone);
  const calendar = openCalendar(policy.timeZone);
  const judged = groupsOf(state).flatMap((group) => {
    const points = pointsOf(state, group).map(timedPoint);
    return [...judgePoints(points, policy, calendar, now.getTime())];
  });
  return new Set(judged.flatMap(([run, keptBy]) => (keptBy.length > 0 ? [run] : [])));
}

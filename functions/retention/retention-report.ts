import type { GroupPlan, TooMany } from './plan-group.ts';
import type { PolicyWait } from './policy-in-force.ts';
import { policyText } from './policy-text.ts';

/** What retention did with the points of one group, or, dry, would do. Points are named by their run. */
export interface GroupReport {
  readonly group: string;
  /** The policy in force, as `readPolicy` reads it; undefined: there is none, and every point is kept. */
  readonly policy: string | undefined;
  /** It was changed and waits; until then what the one before keeps stays too. */
  readonly waitsUntil: string | undefined;
  readonly points: number;
  /** Points that expired, or would. */
  readonly expired: readonly string[];
  /** Points that no rule keeps, but a legal hold. */
  readonly held: readonly string[];
  /** Nothing expired, because too much at once would have: somebody has to confirm it. */
  readonly stopped: TooMany | undefined;
}

export interface RetentionReport {
  readonly dryRun: boolean;
  readonly groups: readonly GroupReport[];
}

/** The report of a plan that is carried out, but for `expired`. */
export function reportOf(plan: GroupPlan, confirmed: boolean, expired: readonly string[]): GroupReport {
  const { group, policy, points, tooMany } = plan;
  return {
    group,
    policy: policy === undefined ? undefined : policyText(policy.policy),
    waitsUntil: untilText(policy?.wait),
    points: points.length,
    expired,
    held: points.filter(({ keptBy, heldBy }) => keptBy.length === 0 && heldBy.length > 0).map(({ run }) => run),
    stopped: confirmed ? undefined : tooMany,
  };
}

function untilText(wait: PolicyWait | undefined): string | undefined {
  if (wait === undefined) return undefined;
  return Number.isNaN(wait.until) ? 'somebody confirms it' : new Date(wait.until).toISOString();
}

import { EkkoError } from '#vault/errors.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { applyRetention } from '../../retention/apply-retention.ts';
import { endsOf } from '../../retention/ends.ts';
import { newestGood } from '../../retention/newest-good.ts';
import { type GroupPlan, planGroup, pointsOf } from '../../retention/plan-group.ts';
import { policyText, readPolicy } from '../../retention/policy-text.ts';
import type { RetentionReport } from '../../retention/retention-report.ts';
import { checkName } from '../arguments/check-name.ts';
import { type ExplainedPoint, explainPoint } from './explain-point.ts';
import { groupsUnder, type PolicyChange, policyEntry, stateAfter } from './set-policy.ts';

export interface RetainRequest {
  readonly group: string | undefined;
  /** Rules to set, as people write them. */
  readonly set: string | undefined;
  readonly confirmed: boolean;
  readonly dryRun: boolean;
  readonly apply: boolean;
  readonly now: Date;
}

export interface RetainReport {
  readonly dryRun: boolean;
  /** What was set, or would be. */
  readonly set:
    | { readonly policy: string; readonly group: string | undefined; readonly more: readonly string[] }
    | undefined;
  /** As things stood before anything was applied. */
  readonly groups: readonly GroupOverview[];
  /** Undefined: nothing was to be deleted. */
  readonly applied: RetentionReport | undefined;
}

/** What becomes of the points of a group. */
export interface GroupOverview {
  readonly group: string;
  readonly policy: string | undefined;
  /** It was set for this group alone. */
  readonly own: boolean;
  readonly setAt: string | undefined;
  /** Until then what the policy before keeps stays too. */
  readonly waitsUntil: string | undefined;
  readonly points: readonly ExplainedPoint[];
  /** By id. */
  readonly going: readonly string[];
  readonly tooMany: GroupPlan['tooMany'];
}

/**
 * Sets a policy where one is given, tells what it makes of the points, and deletes what nothing keeps where that is asked for. Throws
 * `bad-input` for a policy that cannot be meant, and what the journal and reading records throw.
 */
export async function retain(vault: Vault, request: RetainRequest): Promise<RetainReport> {
  const { dryRun, apply, confirmed, now } = request;
  const group = request.group === undefined ? undefined : checkName(request.group, 'The group name');
  const seen = await vault.journal.refresh();
  const groups = groupsUnder(seen, group);
  checkGroup(seen, group, request.set);
  const good = await goodPoints(vault, seen, groupsUnder(seen, undefined));
  const change = request.set === undefined ? undefined : changeOf(request.set, group, confirmed, now);
  const { state, set } = await setPolicy(vault, seen, change, good, dryRun);
  const overviews = groups.map((each) => overviewOf(planGroup(state, each, good.get(each), now.getTime()), now));
  const applied = apply ? await applyRetention(vault, { group, dryRun, confirmed, now }) : undefined;
  return { dryRun, set, groups: overviews, applied };
}

function checkGroup({ points }: VaultState, group: string | undefined, set: string | undefined): void {
  if (group === undefined || set !== undefined) return;
  if ([...points.values()].some((point) => point.group === group)) return;
  throw new EkkoError('bad-input', `Group "${group}" has no restore point. See \`ekko points\`.`);
}

/** The machine's own zone, which the policy then names. */
function changeOf(text: string, group: string | undefined, confirmed: boolean, now: Date): PolicyChange {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return { group, policy: readPolicy(text, timeZone), confirmed, now };
}

async function setPolicy(
  vault: Vault,
  seen: VaultState,
  change: PolicyChange | undefined,
  good: ReadonlyMap<string, string | undefined>,
  dryRun: boolean,
): Promise<{ state: VaultState; set: RetainReport['set'] }> {
  if (change === undefined) return { state: seen, set: undefined };
  const newest = (each: string) => good.get(each);
  let decided = policyEntry(seen, change, newest);
  const state = dryRun
    ? stateAfter(seen, decided.entry)
    : await vault.journal.append((head) => {
        decided = policyEntry(head, change, newest);
        return decided.entry;
      });
  return { state, set: { policy: policyText(change.policy), group: change.group, more: decided.more } };
}

async function goodPoints(vault: Vault, state: VaultState, groups: readonly string[]) {
  const good = new Map<string, string | undefined>();
  for (const group of groups) good.set(group, await newestGood(vault, state, pointsOf(state, group)));
  return good;
}

function overviewOf(plan: GroupPlan, now: Date): GroupOverview {
  const { group, policy, going, tooMany } = plan;
  const ends = endsOf(plan, now.getTime());
  const zone = policy?.policy.timeZone ?? 'UTC';
  const wait = policy?.wait?.until;
  return {
    group,
    policy: policy === undefined ? undefined : policyText(policy.policy),
    own: policy?.own ?? false,
    setAt: policy?.at,
    waitsUntil: wait === undefined || Number.isNaN(wait) ? undefined : new Date(wait).toISOString(),
    points: plan.points.map((point) => explainPoint(point, ends.get(point.run), zone)),
    going,
    tooMany,
  };
}

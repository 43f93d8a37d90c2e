import { reasonFrom } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { newestGood } from './newest-good.ts';
import { type GroupPlan, groupsOf, planGroup, pointsOf } from './plan-group.ts';
import { policyText } from './policy-text.ts';
import { type GroupReport, type RetentionReport, reportOf } from './retention-report.ts';

export interface RetentionRequest {
  /** Undefined: every group. */
  readonly group: string | undefined;
  /** Say what would expire, and change nothing. */
  readonly dryRun: boolean;
  /** Somebody has seen how much would expire at once, and agreed. */
  readonly confirmed: boolean;
  readonly now: Date;
}

/** As much of a vault as retention needs. */
export type RetainedVault = Pick<Vault, 'journal' | 'store' | 'keyring'>;

/** Points in one entry: bounded, whatever a vault has kept. */
const MOST_AT_ONCE = 1000;

/**
 * Expires the points that neither a rule nor a legal hold keeps, each batch by one entry that is decided on the newest state: what is
 * committed, held or deleted by others meanwhile is seen. Repeated, it finds nothing left to do. Throws `bad-input` for a policy whose
 * time zone this machine does not know, and what the journal and reading records throw; what has expired until then stays so.
 */
export async function applyRetention(vault: RetainedVault, request: RetentionRequest): Promise<RetentionReport> {
  const state = await vault.journal.refresh();
  const groups = request.group === undefined ? groupsOf(state) : [request.group];
  const reports: GroupReport[] = [];
  for (const group of groups) reports.push(await expireGroup(vault, group, request));
  return { dryRun: request.dryRun, groups: reports };
}

/** The plan of a group on the state as it is now, which is read for it. */
export async function planNow(vault: RetainedVault, group: string, now: Date): Promise<GroupPlan> {
  const state = await vault.journal.refresh();
  return planGroup(state, group, await goodOf(vault, state, group), now.getTime());
}

async function expireGroup(vault: RetainedVault, group: string, request: RetentionRequest): Promise<GroupReport> {
  const { dryRun, confirmed, now } = request;
  if (dryRun) {
    const plan = await planNow(vault, group, now);
    return reportOf(plan, confirmed, allowed(plan, confirmed));
  }
  const expired: string[] = [];
  for (;;) {
    const { plan, batch } = await expireBatch(vault, group, request);
    expired.push(...batch);
    if (batch.length === 0) return reportOf(plan, confirmed, expired);
  }
}

interface ExpiredBatch {
  readonly plan: GroupPlan;
  /** Runs. Empty: there was nothing to do. */
  readonly batch: readonly string[];
}

async function expireBatch(
  vault: RetainedVault,
  group: string,
  { confirmed, now }: RetentionRequest,
): Promise<ExpiredBatch> {
  let seen = await vault.journal.refresh();
  let good = await goodOf(vault, seen, group);
  for (;;) {
    let decided: ExpiredBatch | undefined;
    try {
      await vault.journal.append((head) => {
        // What an earlier try decided was not appended: somebody else was first.
        decided = undefined;
        if (!sameNames(head.damaged, seen.damaged)) throw new DamageChanged();
        const plan = planGroup(head, group, good, now.getTime());
        decided = { plan, batch: allowed(plan, confirmed).slice(0, MOST_AT_ONCE) };
        if (decided.batch.length === 0) throw new NothingToDo();
        return { type: 'points-expired', points: decided.batch, reason: reasonOf(plan), at: now.toISOString() };
      });
    } catch (error) {
      if (!(error instanceof NothingToDo || error instanceof DamageChanged)) throw error;
    }
    if (decided !== undefined) return decided;
    seen = await vault.journal.refresh();
    good = await goodOf(vault, seen, group);
  }
}

/** Leave the append loop: nothing is to be appended; what is damaged has to be looked at again. */
class NothingToDo extends Error {}
class DamageChanged extends Error {}

function allowed({ going, tooMany }: GroupPlan, confirmed: boolean): readonly string[] {
  return tooMany === undefined || confirmed ? going : [];
}

function goodOf(vault: RetainedVault, state: VaultState, group: string): Promise<string | undefined> {
  return newestGood(vault, state, pointsOf(state, group));
}

function reasonOf({ policy }: GroupPlan): string {
  return reasonFrom(policy === undefined ? 'retention' : `retention ${policyText(policy.policy)}`);
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a === b || (a.size === b.size && [...a].every((name) => b.has(name)));
}

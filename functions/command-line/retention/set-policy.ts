import type { JournalEntry, RetentionPolicy } from '#vault/journal/entries.ts';
import { applyEntry } from '#vault/journal/fold.ts';
import { ANY_GROUP, type VaultState } from '#vault/journal/state.ts';
import { groupsOf, planGroup } from '../../retention/plan-group.ts';

export interface PolicyChange {
  /** Undefined: of every group that has no policy of its own. */
  readonly group: string | undefined;
  readonly policy: RetentionPolicy;
  /** Somebody saw what it deletes, and agreed. */
  readonly confirmed: boolean;
  readonly now: Date;
}

/** A policy that was set, or would be. */
export interface SetPolicy {
  readonly entry: JournalEntry;
  /** Points that go by it, and went not by what was in force before, by run. */
  readonly more: readonly string[];
}

/**
 * The entry that sets a policy. One that deletes no more than what is in force, of the points that there are, need not be confirmed.
 * `newestGood` is the newest good point of a group.
 */
export function policyEntry(
  state: VaultState,
  { group, policy, confirmed, now }: PolicyChange,
  newestGood: (group: string) => string | undefined,
): SetPolicy {
  const set = (agreed: boolean): JournalEntry => ({
    type: 'retention-set',
    ...(group === undefined ? {} : { group }),
    ...{ policy, confirmed: agreed, at: now.toISOString() },
  });
  const goingIn = (of: VaultState, each: string) => planGroup(of, each, newestGood(each), now.getTime()).going;
  const after = stateAfter(state, set(true));
  const more = groupsOf(state).flatMap((each) => {
    const before = new Set(goingIn(state, each));
    return goingIn(after, each).filter((run) => !before.has(run));
  });
  return { entry: set(confirmed || more.length === 0), more };
}

/** As if the entry had been appended. */
export function stateAfter(state: VaultState, entry: JournalEntry): VaultState {
  return applyEntry(state, { position: state.position + 1, digest: state.digest, entry });
}

/** The groups that a policy is for: with points, or with a policy of their own. */
export function groupsUnder(state: VaultState, group: string | undefined): string[] {
  if (group !== undefined) return [group];
  const named = [...state.retention.keys()].filter((each) => each !== ANY_GROUP);
  return [...new Set([...groupsOf(state), ...named])].sort();
}

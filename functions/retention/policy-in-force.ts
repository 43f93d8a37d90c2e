import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { endOfWait, isInForce } from '#vault/journal/policy-wait.ts';
import { ANY_GROUP, type VaultState } from '#vault/journal/state.ts';

/** What a group's points are kept by. */
export interface GroupPolicy {
  readonly policy: RetentionPolicy;
  /** When it was set. */
  readonly at: string;
  /** It was set for this group; else for every group that has none of its own. */
  readonly own: boolean;
  /** While nobody has confirmed it and its day is not over. */
  readonly wait: PolicyWait | undefined;
}

export interface PolicyWait {
  /** Milliseconds since 1970, UTC. */
  readonly until: number;
  /** What was in force before and goes on keeping until then; undefined: every point is kept. */
  readonly previous: RetentionPolicy | undefined;
}

/** The policy of a group at `now` (milliseconds since 1970, UTC); undefined where there is none, and every point is kept. */
export function policyOf(
  { retention }: Pick<VaultState, 'retention'>,
  group: string,
  now: number,
): GroupPolicy | undefined {
  const own = retention.get(group);
  const set = own ?? retention.get(ANY_GROUP);
  if (set === undefined) return undefined;
  const wait = isInForce(set, now) ? undefined : { until: endOfWait(set), previous: set.previous };
  return { policy: set.policy, at: set.at, own: own !== undefined, wait };
}

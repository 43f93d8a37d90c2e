import type { RetentionSet } from './entries.ts';

/** How long a changed retention policy waits before what it deletes is deleted, unless somebody confirmed it. */
export const POLICY_WAIT_HOURS = 24;

/** When a policy that nobody confirmed comes into force: milliseconds since 1970, UTC; NaN where its entry names no day that there is. */
export function endOfWait({ at }: Pick<RetentionSet, 'at'>): number {
  return Date.parse(at) + POLICY_WAIT_HOURS * 3_600_000;
}

/** Whether a policy is in force alone at `now` (milliseconds since 1970, UTC). Before that, what the one before it keeps stays too. */
export function isInForce(set: Pick<RetentionSet, 'at' | 'confirmed'>, now: number): boolean {
  return set.confirmed || now >= endOfWait(set);
}

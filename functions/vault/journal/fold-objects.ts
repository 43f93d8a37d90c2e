import type { Draft } from './draft.ts';
import type { LocksExtended, VaultVerified } from './entries.ts';

export function verify(draft: Draft, { shards, keyed, at, damaged }: VaultVerified, position: number): void {
  for (const shard of shards) draft.verified.set(shard, { at, keyed, position });
  for (const name of damaged) draft.damaged.add(name);
}

/** No store shortens a lock: what an earlier entry said still holds. */
export function extendLocks(draft: Draft, { shards, until }: LocksExtended): void {
  for (const shard of shards) {
    const before = draft.lockedUntil.get(shard);
    if (before === undefined || Date.parse(before) < Date.parse(until)) draft.lockedUntil.set(shard, until);
  }
}

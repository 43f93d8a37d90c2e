import { EkkoError } from '#vault/errors.ts';
import { SHARDS } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';

/** All content-named objects, by the first byte of their names. */
export const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard);

/**
 * The shards that make up `percent` of a vault, at least one: those never looked at first, then those whose last look lies furthest
 * back in the journal. Ascending. `keyed`: a look without the key does not count. Throws `bad-input` for what is no share.
 */
export function chooseShards({ verified }: Pick<VaultState, 'verified'>, percent: number, keyed: boolean): number[] {
  if (!(percent > 0 && percent <= 100)) {
    throw new EkkoError('bad-input', `${percent} % of a vault cannot be verified: give more than 0 and at most 100.`);
  }
  const last = (shard: number) => {
    const look = verified.get(shard);
    return look === undefined || (keyed && !look.keyed) ? 0 : look.position;
  };
  const count = Math.max(1, Math.round((SHARDS * percent) / 100));
  return ALL_SHARDS.toSorted((a, b) => last(a) - last(b) || a - b)
    .slice(0, count)
    .toSorted((a, b) => a - b);
}

/** Shards that make up `percent` of a vault, taken by chance: where there is no journal to know what was looked at. Throws as `chooseShards`. */
export function chooseRandomShards(percent: number): number[] {
  const looked = ALL_SHARDS.map((shard) => [shard, { at: '', keyed: true, position: 1 + Math.random() }] as const);
  return chooseShards({ verified: new Map(looked) }, percent, true);
}

/** The shard of the object that has this name. */
export function shardOf(name: string): number {
  return Number.parseInt(name.slice(0, 2), 16);
}

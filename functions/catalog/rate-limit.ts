import { LRUCache } from 'lru-cache';
import { EkkoError } from '#vault/errors.ts';

/** Lets so many requests a minute pass for each name, and a burst of as many as come in ten seconds. */
export interface RateLimit {
  /** Throws `too-many-requests`, which says after how many seconds to ask again, when `name` has used up its share. */
  take(name: string): void;
  /** The same, and takes nothing. */
  check(name: string): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Names beyond this are those of long ago: they begin anew. */
const MOST_NAMES = 10_000;

/** `now` in milliseconds. */
export function openRateLimit(perMinute: number, now: () => number = () => performance.now()): RateLimit {
  const buckets = new LRUCache<string, Bucket>({ max: MOST_NAMES });
  const burst = Math.max(1, Math.ceil(perMinute / 6));
  const fill = (name: string): Bucket => {
    const bucket = buckets.get(name) ?? { tokens: burst, at: now() };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now() - bucket.at) * perMinute) / 60_000);
    bucket.at = now();
    buckets.set(name, bucket);
    return bucket;
  };
  const check = (name: string): Bucket => {
    const bucket = fill(name);
    if (bucket.tokens >= 1) return bucket;
    const retryAfter = Math.ceil(((1 - bucket.tokens) * 60) / perMinute);
    throw Object.assign(
      new EkkoError('too-many-requests', `More than ${perMinute} requests a minute. Ask again in ${retryAfter} s.`),
      { retryAfter },
    );
  };
  return {
    take: (name) => {
      check(name).tokens -= 1;
    },
    check: (name) => void check(name),
  };
}

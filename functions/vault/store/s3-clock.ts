import type { S3Client } from '@aws-sdk/client-s3';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { EkkoError } from '../errors.ts';
import type { S3Connection } from './s3-connection.ts';

/** A lock that is too long cannot be taken back, one that is too short protects nothing. */
const LARGEST_SKEW_MS = 300_000;
/** What was seen longer ago is asked for again. */
const FRESH_MS = 60_000;

export interface StoreClock {
  /** The store's time, to a second or so. Throws `store-failed` where this machine's clock differs by more than five minutes. */
  now(): Promise<Date>;
}

/** The store's time, as the `Date` of each of its answers tells. Both clocks must agree: which of them is wrong nobody can know. */
export function openStoreClock(client: S3Client, { place, send }: S3Connection): StoreClock {
  let seen: { readonly store: number; readonly local: number; readonly monotonic: number } | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const headers = (result.response as { headers?: Record<string, string> } | undefined)?.headers;
      const store = Date.parse(headers?.['date'] ?? '');
      if (!Number.isNaN(store)) seen = { store, local: Date.now(), monotonic: performance.now() };
      return result;
    },
    { step: 'deserialize', name: 'storeClock' },
  );

  const isFresh = () => {
    if (seen === undefined) return false;
    const [elapsed, passed] = [performance.now() - seen.monotonic, Date.now() - seen.local];
    // They part when a clock is set, and when a machine slept.
    return elapsed < FRESH_MS && Math.abs(passed - elapsed) < FRESH_MS;
  };

  return {
    async now() {
      if (!isFresh()) {
        seen = undefined;
        const request = { Bucket: place.bucket, Prefix: place.prefix, MaxKeys: 1 };
        await send(`Cannot ask s3://${place.bucket} for its time`, (each) =>
          each.send(new ListObjectsV2Command(request)),
        );
      }
      if (seen === undefined) throw refusal(place.bucket, 'does not say what time it is');
      const { store, local, monotonic } = seen;
      if (Math.abs(store - local) > LARGEST_SKEW_MS)
        throw refusal(
          place.bucket,
          `says ${new Date(store).toISOString()}, and this machine ${new Date(local).toISOString()}`,
        );
      return new Date(store + performance.now() - monotonic);
    },
  };
}

function refusal(bucket: string, found: string): EkkoError {
  return new EkkoError(
    'store-failed',
    `The store of bucket ${bucket} ${found}: nothing is locked by a time that may be wrong. Set the clock.`,
  );
}

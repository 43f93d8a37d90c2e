import type { S3Client } from '@aws-sdk/client-s3';
import { s3Failure } from './s3-errors.ts';
import { type Patience, withPatience } from './s3-retry.ts';
import type { S3Place } from './s3-url.ts';

/** A bucket, and how requests are sent to it. */
export interface S3Connection {
  readonly place: S3Place;
  /**
   * Does `work` until the store's patience is at its end. What it throws then becomes `store-failed`: `what` (`Cannot read …`), what
   * the store said, and what to do.
   */
  send<T>(what: string, work: (client: S3Client) => Promise<T>): Promise<T>;
}

export function openS3Connection(place: S3Place, client: S3Client, patience: Patience): S3Connection {
  return {
    place,
    async send(what, work) {
      try {
        return await withPatience(patience, () => work(client));
      } catch (error) {
        throw s3Failure(error, what, place);
      }
    },
  };
}

/** As messages name an object. */
export function s3Name({ bucket, prefix }: S3Place, key: string): string {
  return `s3://${bucket}/${prefix}${key}`;
}

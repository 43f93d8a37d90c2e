import { HeadObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { EkkoError } from '../errors.ts';
import type { LockMode, VaultLock } from '../words.ts';
import type { KeptObject } from './object-locking.ts';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { failureOf } from './s3-errors.ts';

/** As S3 spells it. */
export const S3_MODES = { governance: 'GOVERNANCE', compliance: 'COMPLIANCE' } as const satisfies Record<
  LockMode,
  string
>;

/** One version of an object. */
export interface S3Version {
  readonly key: string;
  readonly id: string;
}

/** Locks a version until then. A store never shortens a lock: what is locked for longer stays so. Throws `store-failed`, `object-missing`. */
export async function extendLock(
  connection: S3Connection,
  { mode }: Pick<VaultLock, 'mode'>,
  version: S3Version,
  until: Date,
): Promise<void> {
  const { place, send } = connection;
  const Retention = { Mode: S3_MODES[mode], RetainUntilDate: until };
  const object = { Bucket: place.bucket, Key: place.prefix + version.key, VersionId: version.id };
  await send(`Cannot lock ${s3Name(place, version.key)}`, async (client) => {
    try {
      await client.send(new PutObjectRetentionCommand({ ...object, Retention }));
    } catch (error) {
      const { code, status } = failureOf(error);
      if (status === 404) throw new EkkoError('object-missing', `${s3Name(place, version.key)} is missing.`);
      if (code !== 'AccessDenied' && status !== 403 && status !== 400) throw error;
      const found = await readLockOf(connection, version);
      if (found === undefined || (found.until !== undefined && found.until < until)) throw error;
    }
  });
}

/** How a version is locked now; undefined: not at all, or it is not there. Throws `store-failed`. */
export async function readLockOf(
  { place, send }: S3Connection,
  { key, id }: S3Version,
): Promise<KeptObject | undefined> {
  return send(`Cannot read the lock of ${s3Name(place, key)}`, async (client) => {
    try {
      const object = { Bucket: place.bucket, Key: place.prefix + key, VersionId: id };
      const { ObjectLockLegalHoldStatus: hold, ObjectLockRetainUntilDate: until } = await client.send(
        new HeadObjectCommand(object),
      );
      if (hold === 'ON') return { key, until: undefined };
      return until === undefined ? undefined : { key, until };
    } catch (error) {
      if (failureOf(error).status === 404) return undefined;
      throw error;
    }
  });
}

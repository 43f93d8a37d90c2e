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

/**
 * Locks a version until then. A store never shortens a lock: what is locked for longer stays so. Nor does it take compliance back: what is
 * locked so, by whomever, is extended so. Throws `store-failed`, `object-missing`.
 */
export async function extendLock(
  connection: S3Connection,
  { mode }: Pick<VaultLock, 'mode'>,
  version: S3Version,
  until: Date,
): Promise<void> {
  const { place, send } = connection;
  const retention = (Mode: S3Mode) => ({ Retention: { Mode, RetainUntilDate: until } });
  const object = { Bucket: place.bucket, Key: place.prefix + version.key, VersionId: version.id };
  await send(`Cannot lock ${s3Name(place, version.key)}`, async (client) => {
    try {
      await client.send(new PutObjectRetentionCommand({ ...object, ...retention(S3_MODES[mode]) }));
    } catch (error) {
      const { code, status } = failureOf(error);
      if (status === 404) throw new EkkoError('object-missing', `${s3Name(place, version.key)} is missing.`);
      if (code !== 'AccessDenied' && status !== 403 && status !== 400) throw error;
      const found = await readLockOf(connection, version);
      if (found?.until !== undefined && found.until >= until) return;
      if (found?.mode !== S3_MODES.compliance || mode === 'compliance') throw error;
      await client.send(new PutObjectRetentionCommand({ ...object, ...retention(S3_MODES.compliance) }));
    }
  });
}

type S3Mode = (typeof S3_MODES)[LockMode];

export interface S3Lock {
  readonly mode: string | undefined;
  /** Undefined with a legal hold alone. */
  readonly until: Date | undefined;
  readonly held: boolean;
}

/** Until when a version is kept, by whatever keeps it longest; undefined: nothing does, or it is not there. Throws `store-failed`. */
export async function keptUntil(connection: S3Connection, version: S3Version): Promise<KeptObject | undefined> {
  const found = await readLockOf(connection, version);
  if (found === undefined || !(found.held || found.until !== undefined)) return undefined;
  return { key: version.key, until: found.held ? undefined : found.until };
}

/** How a version is locked now; undefined: it is not there. Throws `store-failed`. */
async function readLockOf({ place, send }: S3Connection, { key, id }: S3Version): Promise<S3Lock | undefined> {
  return send(`Cannot read the lock of ${s3Name(place, key)}`, async (client) => {
    try {
      const object = { Bucket: place.bucket, Key: place.prefix + key, VersionId: id };
      const { ObjectLockLegalHoldStatus, ObjectLockRetainUntilDate, ObjectLockMode } = await client.send(
        new HeadObjectCommand(object),
      );
      return { mode: ObjectLockMode, until: ObjectLockRetainUntilDate, held: ObjectLockLegalHoldStatus === 'ON' };
    } catch (error) {
      if (failureOf(error).status === 404) return undefined;
      throw error;
    }
  });
}

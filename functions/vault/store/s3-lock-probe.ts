import { randomBytes } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { LockMode } from '../words.ts';
import type { LockFailure, LockProbe } from './object-locking.ts';
import type { StoreClock } from './s3-clock.ts';
import type { S3Connection } from './s3-connection.ts';
import { failureOf } from './s3-errors.ts';
import { bulkRequest } from './s3-removal.ts';
import { S3_MODES } from './s3-retention.ts';
import type { S3VersionRemoval } from './s3-version-removal.ts';
import { listVersions, versionsOf } from './s3-versions.ts';
import { writeS3 } from './s3-writing.ts';

const SCRATCH = 'probe-lock/';
/** A lock must end behind the store's present, whatever time it is there. What nobody can remove stays so long. */
const LOCKED_MS = 600_000;
const SHORTENED_MS = 300_000;

/**
 * Locks a scratch object, reads the lock back, and tries to get rid of it in every way. What counts is what is there afterwards, never what
 * the store answered: there are some that answer 200 and lock nothing. Scratch objects of earlier probes are removed, as far as that goes.
 */
export async function probeLock(
  connection: S3Connection,
  clock: StoreClock,
  removal: S3VersionRemoval,
  mode: LockMode,
): Promise<LockProbe> {
  const key = `${SCRATCH}${randomBytes(8).toString('hex')}`;
  const until = new Date((await clock.now()).getTime() + LOCKED_MS);
  try {
    await writeS3(connection, key, [randomBytes(64)], { lock: { mode, until } });
  } catch (error) {
    return { refused: String(error instanceof Error ? error.message : error), ...NOTHING_SEEN };
  }
  const id = (await versionsOf(connection, key))?.versions[0]?.id;
  const scratch = { connection, key, id: id ?? 'null', mode, until };
  const readBack = await isReadBack(scratch);
  const failures = await failuresOf(scratch);
  const bypassed = mode === 'governance' && failures.length === 0 && (await isGoneBy(scratch, bypass));
  await cleanUp(connection, removal);
  return { refused: undefined, readBack, failures, bypassed };
}

const NOTHING_SEEN = { readBack: false, failures: [], bypassed: false } as const;

interface Scratch {
  readonly connection: S3Connection;
  readonly key: string;
  readonly id: string;
  readonly mode: LockMode;
  readonly until: Date;
}

async function isReadBack({ connection, key, id, mode, until }: Scratch): Promise<boolean> {
  const { place, send } = connection;
  return send('Cannot read a lock back', async (client) => {
    try {
      const request = { Bucket: place.bucket, Key: place.prefix + key, VersionId: id };
      const { Retention } = await client.send(new GetObjectRetentionCommand(request));
      const apart = Math.abs((Retention?.RetainUntilDate?.getTime() ?? 0) - until.getTime());
      return Retention?.Mode === S3_MODES[mode] && apart < 2000;
    } catch (error) {
      return unlessPassing(error, false);
    }
  });
}

async function failuresOf(scratch: Scratch): Promise<LockFailure[]> {
  if (await isShortened(scratch)) return ['shortened'];
  if (await isGoneBy(scratch, remove)) return ['removed'];
  return (await isGoneBy(scratch, removeInBulk)) ? ['removed in bulk'] : [];
}

async function isShortened(scratch: Scratch): Promise<boolean> {
  const until = new Date(scratch.until.getTime() - SHORTENED_MS);
  await attempt(scratch, (client, object) =>
    client.send(
      new PutObjectRetentionCommand({ ...object, Retention: { Mode: S3_MODES[scratch.mode], RetainUntilDate: until } }),
    ),
  );
  return isReadBack({ ...scratch, until });
}

type Attempt = (client: S3Client, object: S3Object, scratch: Scratch) => Promise<unknown>;
interface S3Object {
  readonly Bucket: string;
  readonly Key: string;
  readonly VersionId: string;
}

const remove: Attempt = (client, object) => client.send(new DeleteObjectCommand(object));
const removeInBulk: Attempt = (client, _, { connection, key, id }) =>
  client.send(bulkRequest(connection, [{ key, id }]));
const bypass: Attempt = (client, object) =>
  client.send(new DeleteObjectCommand({ ...object, BypassGovernanceRetention: true }));

async function isGoneBy(scratch: Scratch, how: Attempt): Promise<boolean> {
  await attempt(scratch, how);
  const found = await versionsOf(scratch.connection, scratch.key);
  return found?.versions.some(({ id }) => id === scratch.id) !== true;
}

/** It should be refused; how, does not matter. */
async function attempt(scratch: Scratch, act: Attempt): Promise<void> {
  const { place, send } = scratch.connection;
  const object = { Bucket: place.bucket, Key: place.prefix + scratch.key, VersionId: scratch.id };
  await send('Cannot try a lock', (client) =>
    act(client, object, scratch).catch((error: unknown) => unlessPassing(error, undefined)),
  );
}

/** What has no answer at all may pass. */
function unlessPassing<T>(error: unknown, value: T): T {
  if (failureOf(error).status === 0 || failureOf(error).status >= 500) throw error;
  return value;
}

async function cleanUp(connection: S3Connection, removal: S3VersionRemoval): Promise<void> {
  const scratch: { key: string; id: string }[] = [];
  for await (const { key, versions, markers } of listVersions(connection, SCRATCH)) {
    for (const id of [...versions.map((version) => version.id), ...markers]) scratch.push({ key, id });
  }
  // What stays is what the lock is for.
  await removal.removeVersions(scratch).catch(() => undefined);
}

import type { S3Client } from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { EkkoError } from '../errors.ts';
import { lockMs, type VaultLock } from '../words.ts';
import type { KeptObject, ObjectLocking, StoredVersions, Uncovered } from './object-locking.ts';
import { contentName, isFirstToCount, isLasting, LASTING, nameOf } from './object-names.ts';
import type { ObjectStore, StoredObject } from './object-store.ts';
import { openStoreClock } from './s3-clock.ts';
import type { S3Connection } from './s3-connection.ts';
import { listS3 } from './s3-listing.ts';
import { probeLock } from './s3-lock-probe.ts';
import { openLockReading, readUnlocked, type S3LockReading } from './s3-lock-reading.ts';
import { readS3 } from './s3-reading.ts';
import { extendLock, keptUntil } from './s3-retention.ts';
import { openVersionRemoval, type S3VersionRemoval } from './s3-version-removal.ts';
import { listVersions, versionsOf } from './s3-versions.ts';
import { isThere, writeS3 } from './s3-writing.ts';

/** A bucket with locks: the verbs of a store as they are once `begin` was called, and reading before. */
export interface S3Locking {
  readonly locking: ObjectLocking;
  readonly locked: Pick<ObjectStore, 'create' | 'get' | 'remove'> & {
    list(prefix: string, after: string): AsyncIterable<StoredObject>;
  };
  readonly reading: Pick<ObjectStore, 'get'>;
}

const LOOKS_AT_ONCE = 16;

export function openS3Locking(connection: S3Connection, client: S3Client): S3Locking {
  const clock = openStoreClock(client, connection);
  const reading = openLockReading(connection);
  const removal = openVersionRemoval(connection);
  let rule: VaultLock | undefined;

  /** For an object that is made now. */
  const lockFromNow = async () => {
    if (rule === undefined) throw new EkkoError('bad-input', 'Nothing said how objects are to be locked.');
    return { mode: rule.mode, until: new Date((await clock.now()).getTime() + lockMs(rule)) };
  };

  const cover = async (key: string, bytes: Uint8Array): Promise<void> => {
    await writeS3(connection, key, [bytes], { over: true, lock: await lockFromNow() });
  };

  return {
    locking: {
      rule: () => rule,
      begin: (given) => {
        rule = given;
      },
      now: () => clock.now(),
      probe: (mode) => probeLock(connection, clock, removal, mode),
      versions: (prefix) => listVersions(connection, prefix),
      async extend(object, until) {
        const id = (await reading.soundVersion(object)) ?? object.versions.at(-1)?.id;
        const { mode } = rule ?? (await lockFromNow());
        if (id !== undefined) await extendLock(connection, { mode }, { key: object.key, id }, until);
      },
      kept: (keys) => keptOf(connection, keys),
      isOnTop: (object) => isOnTop(connection, object),
      uncover: (object) => uncover({ connection, reading, removal, cover }, object),
      cover,
    },
    locked: {
      async create(key, body) {
        // Some stores ignore the condition where they keep versions, and lay another version over what is there.
        const lasts = isLasting(key);
        if (isFirstToCount(key) ? await reading.has(key) : !lasts && (await isThere(connection, key))) return 'exists';
        return writeS3(connection, key, body, lasts ? { lock: await lockFromNow() } : {});
      },
      get: (key, range) => reading.get(key, range),
      list: (prefix, after) =>
        LASTING.some((folder) => prefix.startsWith(folder))
          ? listHidden(connection, prefix, after)
          : listS3(connection, prefix, after),
      remove: (keys) => removal.remove(keys),
    },
    reading: { get: (key, range) => readUnlocked(connection, key, range) },
  };
}

/** Also what a delete marker hides. */
async function* listHidden(connection: S3Connection, prefix: string, after: string): AsyncGenerator<StoredObject> {
  for await (const { key, size, versions } of listVersions(connection, prefix, after)) {
    if (versions.length > 0) yield { key, size };
  }
}

async function keptOf(connection: S3Connection, keys: readonly string[]): Promise<readonly KeptObject[]> {
  const limit = pLimit(LOOKS_AT_ONCE);
  const look = async (key: string): Promise<KeptObject[]> => {
    const found = await versionsOf(connection, key);
    const locks: KeptObject[] = [];
    for (const { id } of found?.versions ?? []) locks.push(...((await lockOf(key, id)) ?? []));
    locks.sort((a, b) => (b.until?.getTime() ?? Infinity) - (a.until?.getTime() ?? Infinity));
    return locks.slice(0, 1);
  };
  const lockOf = async (key: string, id: string) => {
    const lock = await keptUntil(connection, { key, id });
    return lock === undefined || (lock.until !== undefined && lock.until.getTime() <= Date.now()) ? undefined : [lock];
  };
  return (await Promise.all(keys.map((key) => limit(() => look(key))))).flat();
}

/** Of what is named by its content any version will do that has the name. */
async function isOnTop(connection: S3Connection, { key, versions, hidden }: StoredVersions): Promise<boolean> {
  const newest = versions[0]?.id;
  if (hidden || newest === undefined) return false;
  if (versions.length === 1) return true;
  if (isFirstToCount(key)) return false;
  return contentName([(await readS3(connection, key, undefined, newest)).bytes]) === nameOf(key);
}

interface Parts {
  readonly connection: S3Connection;
  readonly reading: S3LockReading;
  readonly removal: S3VersionRemoval;
  readonly cover: ObjectLocking['cover'];
}

async function uncover(parts: Parts, object: StoredVersions): Promise<Uncovered> {
  const { connection, reading, removal, cover } = parts;
  const { key, versions, markers } = object;
  if (versions.length === 1 && markers.length === 0) return 'right';
  const sound = await reading.soundVersion(object);
  if (sound === undefined) return versions.length === 0 ? 'right' : 'lost';
  const others = [...versions.map(({ id }) => id).filter((id) => id !== sound), ...markers];
  const kept = await removal.removeVersions(others.map((id) => ({ key, id })));
  const left = kept.length === 0 ? undefined : await versionsOf(connection, key);
  const done = kept.length === others.length ? 'right' : 'uncovered';
  if (left === undefined || isFirstToCount(key) || (await isOnTop(connection, left))) return done;
  await cover(key, (await readS3(connection, key, undefined, sound)).bytes);
  return 'covered';
}

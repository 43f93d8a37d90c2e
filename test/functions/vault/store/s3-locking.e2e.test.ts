import { createHash, randomBytes } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ObjectLocking } from '#vault/store/object-locking.ts';
import { contentKey, Folder, journalKey, VAULT_JSON } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { type CephBucket, newBucket, useCeph } from '../../../cloud/ceph.ts';
import { describeObjectStore } from '../../../conformance/object-store.ts';
import { lacks } from '../../../setup/cache.ts';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

function lockingOf({ locking }: ObjectStore): ObjectLocking {
  if (locking === undefined) throw new Error('The store has no locking.');
  return locking;
}

describe.skipIf(lacks('ceph'))('a bucket with Object Lock on a RADOS Gateway', () => {
  describeObjectStore(
    'S3, locking',
    async () => {
      const { url, environment } = await newBucket(await useCeph(), { locking: true });
      const store = await openS3Store(url, environment);
      lockingOf(store).begin({ mode: 'compliance', days: 1 });
      return store;
    },
    { keeps: { atomicCreate: false }, listed: 1200, sideBySide: { objects: 16, bytes: 16 * MIB } },
  );

  let bucket: CephBucket;
  beforeAll(async () => {
    bucket = await newBucket(await useCeph(), { locking: true });
  });

  /** A store in a prefix of its own. */
  async function openPlace(days: number, mode: 'governance' | 'compliance' = 'compliance') {
    const prefix = `${randomBytes(6).toString('hex')}/`;
    const store = await openS3Store(bucket.url.replace('?', `/${prefix}?`), bucket.environment);
    const locking = lockingOf(store);
    locking.begin({ mode, days });
    const Bucket = bucket.name;
    const versions = async (key: string) => {
      const { Versions = [], DeleteMarkers = [] } = await bucket.client.send(
        new ListObjectVersionsCommand({ Bucket, Prefix: prefix + key }),
      );
      return { versions: Versions.map(({ VersionId }) => VersionId), markers: DeleteMarkers.length };
    };
    const lockOf = async (key: string) => {
      const [VersionId] = (await versions(key)).versions.slice(-1);
      return (await bucket.client.send(new GetObjectRetentionCommand({ Bucket, Key: prefix + key, VersionId })))
        .Retention;
    };
    return {
      ...{ store, locking, versions, lockOf },
      hide: (key: string) => bucket.client.send(new DeleteObjectCommand({ Bucket, Key: prefix + key })),
      layOver: (key: string, Body: string, lock: Pick<PutObjectCommandInput, 'ObjectLockMode'> = {}) =>
        bucket.client.send(
          new PutObjectCommand({
            ...{ Bucket, Key: prefix + key, Body, ...lock },
            ...(lock.ObjectLockMode === undefined ? {} : { ObjectLockRetainUntilDate: new Date(Date.now() + DAY_MS) }),
          }),
        ),
    };
  }

  /** A content-named object, and its key. */
  function named(text: string) {
    const body = Buffer.from(text);
    return { body, key: contentKey(Folder.packs, createHash('sha256').update(body).digest('hex')) };
  }

  const VAULT = Buffer.from('{"lock": {}}');

  const oneOf = async <T>(found: AsyncIterable<T>): Promise<T> => {
    for await (const each of found) return each;
    throw new Error('There is none.');
  };

  test('what lasts is locked when it is made, all else is not', async () => {
    const { store, lockOf } = await openPlace(3);
    const pack = named('a pack');
    const lasting = [pack.key, journalKey(1), VAULT_JSON, `keys/0002/${'ab'.repeat(32)}`];
    for (const key of lasting) expect(await store.create(key, [pack.body])).toBe('created');
    for (const key of lasting) {
      const lock = await lockOf(key);
      const days = ((lock?.RetainUntilDate?.getTime() ?? 0) - Date.now()) / DAY_MS;
      expect({ key, mode: lock?.Mode, days: Math.round(days * 1000) / 1000 }).toEqual({
        key,
        mode: 'COMPLIANCE',
        days: 3,
      });
    }
    for (const key of ['staging/a', 'receipts/a', 'samples/aa/a', 'states/1', 'sweeps/1']) {
      await store.create(key, [pack.body]);
      expect(await lockOf(key).catch(({ name }: Error) => name)).toMatch(/NoSuchObjectLockConfiguration|ObjectLock/);
    }
  });

  test('removal frees what is not locked, with every version, and says until when the rest is kept', async () => {
    const { store, versions, layOver, hide } = await openPlace(3);
    const pack = named('another pack');
    await store.create(pack.key, [pack.body]);
    await store.create('staging/a', [pack.body]);
    await layOver('staging/a', 'two');
    await hide('staging/a');
    await layOver('staging/a', 'three');
    const kept = await store.remove(['staging/a', pack.key, 'staging/none']);
    expect(await versions('staging/a')).toEqual({ versions: [], markers: 0 });
    expect(await versions(pack.key)).toMatchObject({ versions: [expect.anything()], markers: 0 });
    expect(kept).toEqual([{ key: pack.key, until: expect.any(Date) }]);
    expect(Math.abs((kept[0]?.until?.getTime() ?? 0) - Date.now() - 3 * DAY_MS)).toBeLessThan(60_000);
    expect(await lockingOf(store).kept([pack.key, 'staging/a'])).toEqual(kept);
  });

  test('a lock that has ended keeps nothing', async () => {
    const { store, versions, hide } = await openPlace(2 / 86_400);
    const pack = named('a short-lived pack');
    await store.create(pack.key, [pack.body]);
    await hide(pack.key);
    await expect.poll(() => store.remove([pack.key]), { timeout: 60_000, interval: 500 }).toEqual([]);
    expect(await versions(pack.key)).toEqual({ versions: [], markers: 0 });
  });

  test('a lock is extended, and never shortened', async () => {
    const { store, locking, lockOf } = await openPlace(3);
    const pack = named('a pack for long');
    await store.create(pack.key, [pack.body]);
    const object = await oneOf(locking.versions(Folder.packs));
    const [soon, late] = [new Date(Date.now() + DAY_MS), new Date(Date.now() + 9 * DAY_MS)];
    await locking.extend(object, soon);
    expect((await lockOf(pack.key))?.RetainUntilDate?.getTime()).toBeGreaterThan(soon.getTime() + DAY_MS);
    await locking.extend(object, late);
    expect((await lockOf(pack.key))?.RetainUntilDate?.toISOString()).toBe(late.toISOString());
  });

  test('who hides objects, or lays others over them, is read past', async () => {
    const { store, layOver, hide } = await openPlace(3);
    const [hidden, covered, both] = ['one', 'two', 'three'].map(named);
    if (hidden === undefined || covered === undefined || both === undefined) throw new Error('Three were made.');
    const journal = [1, 2, 3].map(journalKey);
    for (const { key, body } of [hidden, covered, both]) await store.create(key, [body]);
    for (const key of journal) await store.create(key, [Buffer.from(key)]);
    await store.create(VAULT_JSON, [VAULT]);
    await hide(hidden.key);
    await layOver(covered.key, 'forged');
    await layOver(both.key, 'forged');
    await hide(both.key);
    await layOver(journalKey(1), 'forged');
    await hide(journalKey(2));
    await layOver(VAULT_JSON, '{"format": 1}');
    for (const { key, body } of [hidden, covered, both]) expect(await store.get(key)).toEqual(body);
    expect(await store.get(hidden.key, { start: 1, end: 3 })).toEqual(hidden.body.subarray(1, 3));
    for (const key of journal) expect(await store.get(key)).toEqual(Buffer.from(key));
    expect(await store.get(VAULT_JSON)).toEqual(VAULT);
    const listed = await Array.fromAsync(store.list(Folder.journal));
    expect(listed).toEqual(journal.map((key) => ({ key, size: key.length })));
    expect(await store.create(journalKey(2), [Buffer.from('other')])).toBe('exists');
    // Before anybody has said that the vault is locked, too.
    const fresh = await openS3Store(store.url, bucket.environment);
    expect(await fresh.get(VAULT_JSON)).toEqual(VAULT);
    await hide(VAULT_JSON);
    expect(await fresh.get(VAULT_JSON)).toEqual(VAULT);
  });

  test('what was laid over an object is taken away, or covered where it is locked itself', async () => {
    const { store, locking, layOver, hide, versions } = await openPlace(3);
    const pack = named('a pack to uncover');
    await store.create(pack.key, [pack.body]);
    await layOver(pack.key, 'forged');
    await hide(pack.key);
    expect(await locking.uncover(await oneOf(locking.versions(Folder.packs)))).toBe('uncovered');
    expect(await versions(pack.key)).toMatchObject({ versions: [expect.anything()], markers: 0 });
    await layOver(pack.key, 'forged, and locked', { ObjectLockMode: 'COMPLIANCE' });
    await hide(pack.key);
    expect(await locking.uncover(await oneOf(locking.versions(Folder.packs)))).toBe('covered');
    const plain = await openS3Store(store.url, bucket.environment);
    expect(await plain.get(pack.key)).toEqual(pack.body);
    expect(await locking.uncover(await oneOf(locking.versions(Folder.packs)))).toBe('right');
    expect(await versions(pack.key)).toMatchObject({ versions: Array(3).fill(expect.anything()), markers: 0 });
  });

  test('is found to lock, and to be no help where the credentials lift the lock', async () => {
    const { locking } = await openPlace(3);
    const right = { refused: undefined, readBack: true, failures: [], bypassed: false };
    expect(await locking.probe('compliance')).toEqual(right);
    // Who owns a bucket of Ceph may bypass.
    expect(await locking.probe('governance')).toEqual({ ...right, bypassed: true });
    const plain = await newBucket(await useCeph());
    const store = await openS3Store(plain.url, plain.environment);
    const refused = expect.stringContaining('InvalidRequest');
    expect(await lockingOf(store).probe('compliance')).toMatchObject({ refused, readBack: false });
  });
});

import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { ObjectLocking, StoredVersions } from '#vault/store/object-locking.ts';
import { contentKey, Folder, journalKey, VAULT_JSON } from '#vault/store/object-names.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { probeLock } from '../../../../functions/command-line/doctor/probe-lock.ts';
import { type LockQuirks, openFakeLockS3 } from '../../../fake-lock-s3.ts';
import { type FaultyHttp, openFaultyHttp } from '../../../faulty-http.ts';
import { HASTY } from './s3-faulty-place.ts';

const DAY_MS = 86_400_000;
const ENVIRONMENT = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
const fronts: FaultyHttp[] = [];
afterEach(async () => {
  for (const front of fronts.splice(0)) await front.close();
});

async function openPlace(quirks: LockQuirks = {}, days = 30) {
  const fake = openFakeLockS3(quirks);
  const front = await openFaultyHttp(fake.answer);
  fronts.push(front);
  const store = await openS3Store(`s3://${fake.bucket}?endpoint=${front.url}`, ENVIRONMENT, HASTY);
  if (store.locking === undefined) throw new Error('The store has no locking.');
  store.locking.begin({ mode: 'compliance', days });
  return { fake, front, store, locking: store.locking };
}

function named(text: string) {
  const body = Buffer.from(text);
  return { body, key: contentKey(Folder.packs, createHash('sha256').update(body).digest('hex')) };
}

async function onlyOne(locking: ObjectLocking, prefix: string): Promise<StoredVersions> {
  const [found, ...more] = await Array.fromAsync(locking.versions(prefix));
  if (found === undefined || more.length > 0) throw new Error('There is not one.');
  return found;
}

describe('what a store does with a lock', () => {
  test.each<readonly [string, LockQuirks, 'governance' | 'compliance', RegExp | undefined]>([
    ['that keeps it is found to', {}, 'compliance', undefined],
    ['whose governance cannot be bypassed is found to keep it', { noBypass: true }, 'governance', undefined],
    ['whose governance can be bypassed', {}, 'governance', /credentials can lift a governance lock/],
    [
      'that says yes to all and does nothing',
      { lies: true },
      'compliance',
      /cannot be read back and it could be removed/,
    ],
    ['that forgets its locks when many are removed', { bulkForgets: true }, 'compliance', /could be removed in bulk/],
    ['that lets itself be talked out of it', { shortens: true }, 'compliance', /could be shortened/],
    ['whose clock is a day ahead', { clockMs: DAY_MS }, 'compliance', /nothing is locked by a time that may be wrong/],
    ['whose clock is a year behind', { clockMs: -365 * DAY_MS }, 'compliance', /Set the clock/],
  ])('%s', async (_, quirks, mode, words) => {
    const { store } = await openPlace(quirks);
    const { verdict, found } = await probeLock(store, mode);
    expect({ verdict, found }).toEqual({
      verdict: words === undefined ? 'ok' : 'wrong',
      found: expect.stringMatching(words ?? /read back, and neither shortened nor removed/),
    });
  });
});

test('nothing is locked while the clocks disagree, and what need not be locked is written', async () => {
  const { store, fake } = await openPlace({ clockMs: 6 * 60_000 });
  const pack = named('a pack');
  await expect(store.create(pack.key, [pack.body])).rejects.toMatchObject({ code: 'store-failed' });
  expect(await store.create('staging/a', [pack.body])).toBe('created');
  expect([...fake.versions.keys()]).toEqual(['staging/a']);
});

test('a lock is counted from the time of the store, which may be minutes away', async () => {
  const { store, fake } = await openPlace({ clockMs: 4 * 60_000 });
  const pack = named('a pack');
  await store.create(pack.key, [pack.body]);
  const until = fake.versions.get(pack.key)?.[0]?.until ?? 0;
  expect(Math.abs(until - (Date.now() + 4 * 60_000 + 30 * DAY_MS))).toBeLessThan(30_000);
});

test('the time is not asked for with each object', async () => {
  const { store, front } = await openPlace();
  for (const text of ['a', 'b', 'c', 'd']) await store.create(named(text).key, [named(text).body]);
  expect(front.requests.filter(({ method }) => method === 'GET')).toHaveLength(1);
  expect(front.requests).toHaveLength(5);
});

test('a legal hold keeps an object without end', async () => {
  const { store, fake, locking } = await openPlace();
  await store.create('staging/a', [Buffer.from('one')]);
  Object.assign(fake.versions.get('staging/a')?.[0] ?? {}, { hold: true });
  expect(await store.remove(['staging/a', 'staging/b'])).toEqual([{ key: 'staging/a', until: undefined }]);
  expect(await locking.kept(['staging/a'])).toEqual([{ key: 'staging/a', until: undefined }]);
});

test('what may not be removed, and is not locked, is a failure', async () => {
  const { store, front } = await openPlace();
  await store.create('staging/a', [Buffer.from('one')]);
  front.misbehave(({ method }) =>
    method === 'DELETE' ? () => ({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }) : undefined,
  );
  await expect(store.remove(['staging/a'])).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('AccessDenied'),
  });
});

test('a locked object that is laid over a thousand times is read, listed once, and uncovered', async () => {
  const { store, fake, locking } = await openPlace({ pageSize: 100 });
  await store.create(journalKey(1), [Buffer.from('true')]);
  await store.create(journalKey(2), [Buffer.from('next')]);
  const [first] = fake.versions.get(journalKey(1)) ?? [];
  if (first === undefined) throw new Error('It was made.');
  const forged = Array.from({ length: 2500 }, (_, at) => ({ id: `f${at}`, body: Buffer.from('forged') }));
  fake.versions.set(journalKey(1), [{ id: 'marker', body: undefined }, ...forged, first]);
  expect(await store.get(journalKey(1))).toEqual(Buffer.from('true'));
  expect((await Array.fromAsync(store.list(Folder.journal))).map(({ key }) => key)).toEqual([1, 2].map(journalKey));
  for (let times = 0; times < 4; times++) {
    for await (const object of locking.versions(Folder.journal)) await locking.uncover(object);
  }
  expect(fake.versions.get(journalKey(1))).toEqual([first]);
});

test('what rotted in the store is read from another version, and that one is locked', async () => {
  const { store, fake, locking } = await openPlace({ conditional: true });
  const pack = named('a pack');
  await store.create(pack.key, [pack.body]);
  const [rotten] = fake.versions.get(pack.key) ?? [];
  Object.assign(rotten ?? {}, { body: Buffer.from('a pacq') });
  expect(await store.create(pack.key, [pack.body])).toBe('exists');
  expect(await store.remove([pack.key])).toHaveLength(1);
  await locking.cover(pack.key, pack.body);
  expect(await store.get(pack.key)).toEqual(pack.body);
  const object = await onlyOne(locking, Folder.packs);
  expect(await locking.isOnTop(object)).toBe(true);
  const until = new Date(Date.now() + 99 * DAY_MS);
  await locking.extend(object, until);
  expect(fake.versions.get(pack.key)?.map((each) => each.until === until.getTime())).toEqual([true, false]);
});

test('a vault.json that was laid over the true one, before anybody knows that it is locked, is not believed', async () => {
  const { store, fake, front } = await openPlace();
  const locked = Buffer.from('{"lock": {}}');
  await store.create(VAULT_JSON, [locked]);
  fake.versions.get(VAULT_JSON)?.unshift({ id: 'forged', body: Buffer.from('forged') });
  const fresh = await openS3Store(store.url, ENVIRONMENT, HASTY);
  expect(await fresh.get(VAULT_JSON)).toEqual(locked);
  expect(await fresh.get(VAULT_JSON, { start: 1, end: 7 })).toEqual(Buffer.from('"lock"'));
  // Where versions cannot be listed there is nothing to go by.
  front.misbehave(({ path }) =>
    path.includes('versions') ? () => ({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }) : undefined,
  );
  expect(await fresh.get(VAULT_JSON)).toEqual(Buffer.from('forged'));
});

test('of a vault that was never locked the newest vault.json counts, as of everything else', async () => {
  const { store, fake } = await openPlace();
  fake.versions.set(VAULT_JSON, [
    { id: 'new', body: Buffer.from('new') },
    { id: 'old', body: Buffer.from('{"format": 1}') },
  ]);
  const fresh = await openS3Store(store.url, ENVIRONMENT, HASTY);
  expect(await fresh.get(VAULT_JSON)).toEqual(Buffer.from('new'));
  fake.versions.get(VAULT_JSON)?.unshift({ id: 'removed', body: undefined });
  await expect(fresh.get(VAULT_JSON)).rejects.toMatchObject({ code: 'object-missing' });
});

test('what somebody locked more strictly than the vault says is extended so', async () => {
  const { store, fake, locking } = await openPlace();
  locking.begin({ mode: 'governance', days: 30 });
  const pack = named('a pack');
  await store.create(pack.key, [pack.body]);
  Object.assign(fake.versions.get(pack.key)?.[0] ?? {}, { mode: 'COMPLIANCE' });
  const until = new Date(Date.now() + 60 * DAY_MS);
  await locking.extend(await onlyOne(locking, Folder.packs), until);
  expect(fake.versions.get(pack.key)).toMatchObject([{ mode: 'COMPLIANCE', until: until.getTime() }]);
});

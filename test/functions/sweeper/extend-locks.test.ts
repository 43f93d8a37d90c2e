import { createHash } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { newIdentity } from '#vault/keys/identity.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { extendLocks } from '../../../functions/sweeper/extend-locks.ts';
import { openFakeLockS3 } from '../../fake-lock-s3.ts';
import { type FaultyHttp, openFaultyHttp } from '../../faulty-http.ts';
import { HASTY } from '../vault/store/s3-faulty-place.ts';

const DAY_MS = 86_400_000;
const PACKS = 12;
/** And vault.json with two entries of the journal. */
const LASTING = PACKS + 3;
const fronts: FaultyHttp[] = [];
afterEach(async () => {
  for (const front of fronts.splice(0)) await front.close();
});

/** A vault whose objects are locked for 30 days from when they were made, made some days ago, and packs that belong to nothing. */
async function madeDaysAgo(days: number, { lock = true } = {}) {
  // Who has an atomic create needs no database.
  const fake = openFakeLockS3({ conditional: true });
  const front = await openFaultyHttp(fake.answer);
  fronts.push(front);
  const environment = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  const store = await openS3Store(`s3://${fake.bucket}?endpoint=${front.url}`, environment, HASTY);
  const vault = await createVault(store, {
    ...{ recipients: [{ kind: 'key-file', publicKey: newIdentity().identity.publicKey }], noEscrow: true },
    now: new Date(Date.now() - days * DAY_MS),
    lock: lock ? { mode: 'compliance', days: 30 } : undefined,
  });
  const packs: string[] = [];
  for (let n = 0; n < PACKS; n++) {
    const body = Buffer.from(`pack ${n}`);
    const key = contentKey(Folder.packs, createHash('sha256').update(body).digest('hex'));
    await store.create(key, [body]);
    packs.push(key);
  }
  await store.create('staging/a', [Buffer.from('part')]);
  // As if they had been made when the vault was.
  for (const versions of fake.versions.values())
    for (const version of versions) if (version.until !== undefined) version.until -= days * DAY_MS;
  return { vault, packs: packs.sort(), locks: () => locksOf(fake.versions), requests: () => front.requests };
}

type FakeVersions = ReturnType<typeof openFakeLockS3>['versions'];

/** By key: days from now until the lock ends, rounded. */
function locksOf(versions: FakeVersions): Map<string, number | undefined> {
  const daysOf = (until: number | undefined) => until && Math.round((until - Date.now()) / DAY_MS);
  return new Map([...versions].map(([key, list]) => [key, daysOf(list[0]?.until)]));
}

async function condemn(vault: Vault, packs: readonly string[]): Promise<void> {
  const names = packs.map((key) => nameOf(key) ?? '');
  const at = new Date().toISOString();
  await vault.journal.append(() => ({
    type: 'condemned',
    packs: names,
    pages: [],
    manifests: [],
    points: [],
    moves: [],
    at,
  }));
}

test('locks of all that lasts are extended when less than half of their time is left, but of what was condemned', async () => {
  const { vault, packs, locks } = await madeDaysAgo(16);
  await condemn(vault, packs.slice(0, 3));
  const { lockedUntil, ...report } = await extendLocks(vault);
  // One more entry, three packs less.
  expect(report).toMatchObject({ dryRun: false, shards: 256, objects: LASTING + 1 - 3 });
  expect(Math.round((Date.parse(lockedUntil) - Date.now()) / DAY_MS)).toBe(30);
  const wrong = [...locks()].filter(([key, days]) => {
    if (packs.slice(0, 3).includes(key)) return days !== 14;
    return key.startsWith('staging/') || key.startsWith('states/') ? days !== undefined : days !== 30;
  });
  expect(wrong).toEqual([]);
  expect(await extendLocks(vault)).toMatchObject({ shards: 0, objects: 0 });
});

test('nothing is extended while more than half is left, nor by a dry run', async () => {
  const early = await madeDaysAgo(14);
  const before = early.locks();
  const { lockedUntil, ...report } = await extendLocks(early.vault);
  expect(report).toEqual({ dryRun: false, shards: 0, objects: 0, bytes: 0 });
  expect(Math.round((Date.parse(lockedUntil) - Date.now()) / DAY_MS)).toBe(16);
  expect(early.locks()).toEqual(before);
  const late = await madeDaysAgo(16);
  expect(await extendLocks(late.vault, { dryRun: true })).toMatchObject({
    dryRun: true,
    shards: 256,
    objects: LASTING,
  });
  expect(new Set(late.locks().values())).toEqual(new Set([undefined, 14]));
});

test('what the journal says is done is not done again', async () => {
  const { vault, packs, locks } = await madeDaysAgo(16);
  const shards = Array.from({ length: 128 }, (_, shard) => shard);
  const [at, until] = [0, 30 * DAY_MS].map((ms) => new Date(Date.now() + ms).toISOString());
  await vault.journal.append(() => ({ type: 'locks-extended', shards, until: until ?? '', at: at ?? '' }));
  expect(await extendLocks(vault)).toMatchObject({ shards: 128 });
  for (const key of packs) expect(locks().get(key)).toBe((nameOf(key) ?? '') < '8' ? 14 : 30);
});

test('who is cut off tells the journal nothing that is not done', async () => {
  const { vault, locks } = await madeDaysAgo(16);
  const { position } = vault.journal.state();
  const stop = new AbortController();
  const cut = extendLocks(vault, {
    signal: stop.signal,
    onProgress: (objects) => objects === 8 && stop.abort(new Error('cut')),
  });
  await expect(cut).rejects.toThrow('cut');
  expect(vault.journal.state().position).toBe(position);
  expect(await extendLocks(vault)).toMatchObject({ shards: 256, objects: LASTING });
  expect(new Set(locks().values())).toEqual(new Set([undefined, 30]));
});

test('each object costs one request, and its listing a thousandth of one', async () => {
  const { vault, requests } = await madeDaysAgo(16);
  const before = requests().length;
  await extendLocks(vault);
  const made = requests().slice(before);
  expect(made.filter(({ path, method }) => method === 'PUT' && path.includes('retention'))).toHaveLength(LASTING);
  expect(made.filter(({ path }) => path.includes('versions')).length).toBeLessThan(12);
});

test('a vault that is not locked is not extended', async () => {
  const { vault } = await madeDaysAgo(16, { lock: false });
  await expect(extendLocks(vault)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('is not locked'),
  });
});

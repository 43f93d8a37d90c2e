import { copyFile, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { createVault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type CephBucket, newBucket, newUser, useCeph } from '../../cloud/ceph.ts';
import { usePostgres } from '../../cloud/postgres.ts';
import { newDatabase, runSql } from '../../cloud/sql-server.ts';
import { checkout, lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
const DAY_MS = 86_400_000;
const LASTING = /^(vault\.json$|(journal|keys|packs|pages|manifests|points|moves)\/)/;

// Many commands, each a process.
describe.skipIf(lacks('ceph') || lacks('postgres'))('a write-once vault', { timeout: 600_000 }, () => {
  let bucket: CephBucket;
  let desk: Desk;
  let database: string;
  let contents = 0;
  /** Id of the first restore point. */
  let first: string;
  beforeAll(async () => {
    bucket = await newBucket(await useCeph(), { locking: true });
    desk = await openDesk({ ...bucket.environment, EKKO_JOURNAL_FILE: 'journal' });
    database = await newDatabase(await usePostgres());
    await writeFile(desk.path('journal'), `${database}\n`, { mode: 0o600 });
    await writeImage(desk.path('disk.img'), { size: 20 * MIB, segments: range(0, 100) });
  });
  afterAll(() => desk.remove());

  /** Runs `ekko`, which must go well. */
  async function ekko(...args: string[]) {
    const { code, output, errors } = await desk.run([...args, '--json']);
    const document = JSON.parse(output);
    expect({ code, errors, error: document.error }).toEqual({ code: 0, errors: '', error: undefined });
    return document;
  }

  /** Other content in every segment named. */
  async function overwrite(segments: readonly number[]): Promise<void> {
    const file = await open(desk.path('disk.img'), 'r+');
    const fill = Buffer.from(`content ${++contents}`);
    for (const segment of segments) await file.write(fill, 0, fill.length, segment * SEGMENT_SIZE);
    await file.close();
  }

  async function expectRestored(url: string, target: string, ...more: string[]): Promise<void> {
    await ekko('restore', url, 'latest', target, ...more);
    expect((await readFile(desk.path(target))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  }

  async function versionsIn(prefix: string) {
    const found: { key: string; id: string; marker: boolean }[] = [];
    let [KeyMarker, VersionIdMarker]: (string | undefined)[] = [];
    do {
      const page: ListObjectVersionsCommandOutput = await bucket.client.send(
        new ListObjectVersionsCommand({ Bucket: bucket.name, Prefix: prefix, KeyMarker, VersionIdMarker }),
      );
      const add = (marker: boolean) => (each: { Key?: string | undefined; VersionId?: string | undefined }) =>
        found.push({ key: String(each.Key).slice(prefix.length), id: String(each.VersionId), marker });
      page.Versions?.forEach(add(false));
      page.DeleteMarkers?.forEach(add(true));
      [KeyMarker, VersionIdMarker] = page.IsTruncated ? [page.NextKeyMarker, page.NextVersionIdMarker] : [];
    } while (KeyMarker !== undefined);
    return found;
  }

  /** By key of what lasts: when its lock ends, in milliseconds since 1970. */
  async function locksIn(prefix: string) {
    const locks = new Map<string, number>();
    for (const { key, id } of await versionsIn(prefix)) {
      if (!LASTING.test(key)) continue;
      const request = { Bucket: bucket.name, Key: prefix + key, VersionId: id };
      const { Retention } = await bucket.client.send(new GetObjectRetentionCommand(request));
      locks.set(key, Retention?.RetainUntilDate?.getTime() ?? 0);
    }
    return locks;
  }

  const at = (prefix: string) => bucket.url.replace('?', `/${prefix.slice(0, -1)}?`);

  /** A vault as `init` makes it, but with a lock as short, and as old, as a test needs it. */
  async function makeVault(prefix: string, { days, madeDaysAgo = 0 }: { days: number; madeDaysAgo?: number }) {
    const { publicKey } = await createKeyFile(desk.path(`${prefix.slice(0, -1)}.key`));
    const store = await openS3Store(at(prefix), bucket.environment);
    await createVault(store, {
      ...{ recipients: [{ kind: 'key-file', publicKey }], noEscrow: true, journalFile: desk.path('journal') },
      ...{ lock: { mode: 'compliance', days }, now: new Date(Date.now() - madeDaysAgo * DAY_MS) },
    });
    return [at(prefix), '--key-file', `${prefix.slice(0, -1)}.key`] as const;
  }

  test('is refused where nothing is locked, where the lock can be lifted, and where the journal has no place', async () => {
    const plain = await newBucket(await useCeph());
    const lock = ['--no-escrow', '--lock', '30d'];
    for (const [args, words] of [
      [[plain.url, ...lock], /takes no locked object: .*InvalidRequest.*Make a bucket with Object Lock/],
      [[bucket.url, ...lock], /these credentials can lift a governance lock.*s3:BypassGovernanceRetention/],
    ] as const) {
      const { code, errors } = await desk.run(['init', ...args]);
      expect({ failed: code !== 0, errors }).toEqual({ failed: true, errors: expect.stringMatching(words) });
    }
    const { EKKO_JOURNAL_FILE: _, ...environment } = { ...bucket.environment, EKKO_JOURNAL_FILE: '' };
    const other = await openDesk(environment);
    const { errors } = await other.run(['init', bucket.url, ...lock, '--lock-mode', 'compliance']);
    expect(errors).toMatch(/had no single winner.*journal must lie in a SQL table/);
    await other.remove();
  });

  test('locks what it is made of, keeps what was condemned until its lock ends, and says so', async () => {
    const url = at('web/');
    const { code, output } = await desk.run(['init', url, '--no-escrow', '--lock', '30d', '--lock-mode', 'compliance']);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/lock +compliance, 30 days .*NOBODY/) });
    const { point } = await ekko('backup', url, 'disk.img');
    await copyFile(desk.path('disk.img'), desk.path('first.img'));
    await overwrite(range(0, 100));
    await ekko('backup', url, 'disk.img');
    await expectRestored(url, 'one.img');
    const locks = await locksIn('web/');
    expect([...new Set([...locks.keys()].map((key) => key.split('/')[0]))].sort()).toEqual([
      'journal',
      'manifests',
      'packs',
      'pages',
      'points',
      'vault.json',
    ]);
    for (const [key, end] of locks)
      expect({ key, days: Math.round((end - Date.now()) / DAY_MS) }).toEqual({ key, days: 30 });
    // Whatever else was made and is used up left nothing behind, not even a delete marker.
    const rest = (await versionsIn('web/')).filter(({ key }) => !LASTING.test(key));
    expect(rest.filter(({ key, marker }) => marker || /^(staging|receipts|probe)\//.test(key))).toEqual([]);

    first = point.id;
    await ekko('delete', url, first);
    const foreseen = await ekko('sweep', url, '--grace', '0', '--dry-run');
    const swept = await ekko('sweep', url, '--grace', '0');
    expect(swept.points).toHaveLength(1);
    expect(swept.removed).toMatchObject({ points: { objects: 0 }, packs: { objects: 0 }, pages: { objects: 0 } });
    expect(swept.locked).toMatchObject({ objects: expect.any(Number), bytes: expect.any(Number) });
    expect(swept.locked.objects).toBeGreaterThanOrEqual(4);
    expect(foreseen.locked).toEqual(swept.locked);
    expect((new Date(swept.locked.until).getTime() - Date.now()) / DAY_MS).toBeCloseTo(30.25, 0);
    expect(swept.locks).toMatchObject({ shards: 0, objects: 0 });
    const again = await ekko('sweep', url, '--grace', '0');
    expect(again.locked).toEqual(swept.locked);
    // It knows until when they are locked, and asks for none of them.
    expect(again.requests.remove).toBe(0);
    const after = await locksIn('web/');
    expect([...locks.keys()].filter((key) => !after.has(key))).toEqual([]);
    const doctor = await desk.run(['doctor', url]);
    expect(doctor.output).toMatch(/^ok +lock +compliance: read back, and neither shortened nor removed/m);
    expect(doctor.output).toMatch(/^ok +locks +all that is needed is locked until/m);
    expect(doctor.output).toMatch(
      /^ok +kept by locks +\d+ objects, .* that nothing needs any more; the last goes after/m,
    );
    expect(doctor.output).toMatch(/^ok +versions +each object has one/m);
    expect(doctor.code).toBe(0);
    await expectRestored(url, 'two.img');
    await ekko('verify', url);
  });

  test('still holds what was swept, for a replica that forgets that it was', async () => {
    const url = at('web/');
    const { entries } = await ekko('journal', 'show', url, '--from', '1');
    const expired = entries.findIndex(({ type }: { type: string }) => type === 'points-expired');
    expect(expired).toBeGreaterThan(0);
    await ekko('copy', url, 'replica', '--as-is');
    for (const position of (await readdir(desk.path('replica/journal'))).sort().slice(expired))
      await rm(desk.path(`replica/journal/${position}`));
    const other = await openDesk({ EKKO_JOURNAL_FILE: '' });
    const [replica, key, target] = ['replica', 'key', 'back.img'].map(desk.path);
    const { code } = await other.run(['restore', String(replica), first, String(target), '--key-file', String(key)]);
    await other.remove();
    expect(code).toBe(0);
    expect((await readFile(String(target))).equals(await readFile(desk.path('first.img')))).toBe(true);
  });

  test('outlasts who deletes, hides and overwrites all that he can with its own credentials, database included', async () => {
    const url = at('web/');
    await ekko('key', 'rotate', url);
    const before = (await versionsIn('web/')).filter(({ key }) => !key.startsWith('probe-lock/'));
    for (const { key } of before) {
      await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: `web/${key}` }));
    }
    const refused: string[] = [];
    for (const { key, id } of before) {
      const version = { Bucket: bucket.name, Key: `web/${key}`, VersionId: id, BypassGovernanceRetention: true };
      await bucket.client.send(new DeleteObjectCommand(version)).catch(() => refused.push(key));
    }
    for (const [i, key] of [...new Set(before.map((each) => each.key))].entries()) {
      if (i % 2 === 0) continue;
      const Body = key === 'vault.json' ? '{"format": 1}' : 'forged';
      await bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key: `web/${key}`, Body }));
    }
    await runSql(database, 'DROP TABLE ekko_journal');
    expect(refused.filter((key) => !LASTING.test(key))).toEqual([]);
    expect(before.filter(({ key }) => LASTING.test(key) && !refused.includes(key))).toEqual([]);

    await writeFile(desk.path('journal'), `${await newDatabase(await usePostgres())}\n`, { mode: 0o600 });
    await ekko('journal', 'adopt', url);
    const { code, output } = await desk.run(['doctor', url]);
    expect({ code, output }).toEqual({
      code: 3,
      output: expect.stringMatching(/^BAD +versions +\d+ objects have others/m),
    });
    const { uncovered, findings } = await ekko('repair', url);
    expect(new Set(uncovered.map(({ outcome }: { outcome: string }) => outcome))).toEqual(new Set(['uncovered']));
    expect({ uncovered: uncovered.length, findings }).toEqual({ uncovered: refused.length, findings: [] });
    await expectRestored(url, 'three.img');
    await ekko('verify', url);
    await overwrite(range(60, 10));
    await ekko('backup', url, 'disk.img');
    await expectRestored(url, 'four.img');
    expect((await desk.run(['doctor', url])).code).toBe(0);
  });

  test('needs no more rights than those that are told, and then nobody who has them lifts a governance lock', async () => {
    const user = await newUser(await useCeph());
    const told = await readFile(join(checkout, 'docs', 'operations.md'), 'utf8');
    const [, json = ''] = /^## Write-once vaults$.*?^```json$(.*?)^```$/ms.exec(told) ?? [];
    const { Version, Statement } = JSON.parse(json.replaceAll('BUCKET', bucket.name));
    const Principal = { AWS: [`arn:aws:iam:::user/${user.name}`] };
    const Policy = JSON.stringify({ Version, Statement: Statement.map((each: object) => ({ ...each, Principal })) });
    await bucket.client.send(new PutBucketPolicyCommand({ Bucket: bucket.name, Policy }));
    const theirs = await openDesk({
      ...{ AWS_ACCESS_KEY_ID: user.accessKey, AWS_SECRET_ACCESS_KEY: user.secretKey },
      EKKO_JOURNAL_FILE: desk.path('journal'),
    });
    const url = at('theirs/');
    for (const args of [
      ['init', url, '--no-escrow', '--lock', '2d'],
      ['backup', url, desk.path('disk.img')],
      ['sweep', url],
      ['extend-locks', url],
      ['verify', url],
      ['repair', url],
      ['doctor', url],
    ]) {
      const { code, output } = await theirs.run([...args, '--json']);
      expect({ args, code, error: JSON.parse(output).error }).toEqual({ args, code: 0, error: undefined });
    }
    await theirs.remove();
  });

  test('keeps locked what is needed, half way through, and nothing else', async () => {
    const [url, ...key] = await makeVault('half/', { days: 4, madeDaysAgo: 3 });
    const { point } = await ekko('backup', url, 'disk.img', ...key);
    await overwrite(range(0, 100));
    await ekko('backup', url, 'disk.img', ...key);
    await ekko('delete', url, point.id, ...key);
    const made = await locksIn('half/');
    const { locks, locked } = await ekko('sweep', url, '--grace', '0', ...key);
    const after = await locksIn('half/');
    const extended = [...made].filter(([key, end]) => (after.get(key) ?? 0) > end);
    expect(locked.objects).toBeGreaterThanOrEqual(4);
    expect(extended.length).toBe(made.size - locked.objects);
    // The entry that condemned the rest is new.
    expect(locks).toMatchObject({ shards: 256, dryRun: false, objects: extended.length + 1 });
    const ends = new Set(extended.map(([key]) => after.get(key)));
    expect(ends.size).toBe(1);
    expect((Math.max(...[...ends].map(Number)) - Date.now()) / DAY_MS).toBeCloseTo(4, 1);
    const { entries } = await ekko('journal', 'show', url, ...key);
    expect(entries.at(-1)).toMatchObject({ type: 'locks-extended' });
    expect(await ekko('extend-locks', url, ...key)).toMatchObject({ shards: 0, objects: 0 });
  });

  test('gives back what is needed no more when its lock has ended', async () => {
    const [url, ...key] = await makeVault('short/', { days: 20 / 86_400 });
    const { point } = await ekko('backup', url, 'disk.img', ...key);
    await overwrite(range(0, 100));
    await ekko('backup', url, 'disk.img', ...key);
    await ekko('delete', url, point.id, ...key);
    let gone = 0;
    const sweep = async () => {
      const { locked, removed } = await ekko('sweep', url, '--grace', '0', ...key);
      gone += removed.packs.objects;
      return locked.objects;
    };
    await expect.poll(sweep, { timeout: 120_000, interval: 2000 }).toBe(0);
    expect(gone).toBeGreaterThanOrEqual(1);
    await expectRestored(url, 'five.img', ...key);
  });
});

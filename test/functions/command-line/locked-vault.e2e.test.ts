import { open, readFile, writeFile } from 'node:fs/promises';
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { createVault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type CephBucket, newBucket, useCeph } from '../../cloud/ceph.ts';
import { usePostgres } from '../../cloud/postgres.ts';
import { newDatabase, runSql } from '../../cloud/sql-server.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
const DAY_MS = 86_400_000;
const LASTING = /^(vault\.json$|(journal|keys|packs|pages|manifests|points|moves)\/)/;

describe.skipIf(lacks('ceph') || lacks('postgres'))('a write-once vault', () => {
  let bucket: CephBucket;
  let desk: Desk;
  let database: string;
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
    for (const segment of segments) await file.write(Buffer.alloc(9, segment + 1), 0, 9, segment * SEGMENT_SIZE);
    await file.close();
  }

  async function expectRestored(url: string, target: string): Promise<void> {
    await ekko('restore', url, 'latest', target);
    expect((await readFile(desk.path(target))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  }

  async function versionsIn(prefix: string) {
    const found: { key: string; id: string; marker: boolean }[] = [];
    let [KeyMarker, VersionIdMarker]: (string | undefined)[] = [];
    do {
      const page = await bucket.client.send(
        new ListObjectVersionsCommand({ Bucket: bucket.name, Prefix: prefix, KeyMarker, VersionIdMarker }),
      );
      const add = (marker: boolean) => (each: { Key?: string; VersionId?: string }) =>
        found.push({ key: String(each.Key).slice(prefix.length), id: String(each.VersionId), marker });
      page.Versions?.forEach(add(false));
      page.DeleteMarkers?.forEach(add(true));
      [KeyMarker, VersionIdMarker] = page.IsTruncated ? [page.NextKeyMarker, page.NextVersionIdMarker] : [];
    } while (KeyMarker !== undefined);
    return found;
  }

  /** By key of what lasts: days from now until its lock ends. */
  async function locksIn(prefix: string) {
    const locks = new Map<string, number>();
    for (const { key, id } of await versionsIn(prefix)) {
      if (!LASTING.test(key)) continue;
      const request = { Bucket: bucket.name, Key: prefix + key, VersionId: id };
      const { Retention } = await bucket.client.send(new GetObjectRetentionCommand(request));
      locks.set(key, ((Retention?.RetainUntilDate?.getTime() ?? 0) - Date.now()) / DAY_MS);
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
      [['vault', ...lock], /is no store that locks objects/],
      [[bucket.url, '--no-escrow', '--lock', '2h'], /--lock is a time of 1d to 3650d/],
      [[bucket.url, ...lock, '--lock-mode', 'strict'], /--lock-mode is governance or compliance/],
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
    await ekko('backup', url, 'disk.img');
    await overwrite(range(0, 50));
    const { point } = await ekko('backup', url, 'disk.img');
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
    for (const [key, days] of locks) expect({ key, days: Math.round(days * 100) / 100 }).toEqual({ key, days: 30 });
    // Whatever else was made and is used up left nothing behind, not even a delete marker.
    const rest = (await versionsIn('web/')).filter(({ key }) => !LASTING.test(key));
    expect(rest.filter(({ key, marker }) => marker || /^(staging|receipts|probe)\//.test(key))).toEqual([]);

    const [oldest] = (await ekko('points', url)).points.filter(({ run }: { run: string }) => run !== point.run);
    await ekko('delete', url, oldest.run, '--yes');
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
    expect(new Set((await locksIn('web/')).keys())).toEqual(
      new Set([...locks.keys(), ...(await locksIn('web/')).keys()]),
    );
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

  test('outlasts who deletes, hides and overwrites all that he can with its own credentials, database included', async () => {
    const url = at('web/');
    const before = await versionsIn('web/');
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
      code: 6,
      output: expect.stringMatching(/^BAD +versions +\d+ objects have others/m),
    });
    const { uncovered, findings } = await ekko('repair', url);
    expect(new Set(uncovered.map(({ outcome }: { outcome: string }) => outcome))).toEqual(new Set(['uncovered']));
    expect({ uncovered: uncovered.length, findings }).toEqual({ uncovered: refused.length, findings: [] });
    const overwritten = desk.path('three.img');
    await ekko('restore', url, 'latest', overwritten);
    expect((await readFile(overwritten)).equals(await readFile(desk.path('disk.img')))).toBe(true);
    await ekko('verify', url);
    await overwrite(range(60, 70));
    await ekko('backup', url, 'disk.img');
    await expectRestored(url, 'four.img');
    expect((await desk.run(['doctor', url])).code).toBe(0);
  });

  test('keeps locked what is needed, half way through, and nothing else', async () => {
    const vault = await makeVault('half/', { days: 4, madeDaysAgo: 3 });
    await ekko('backup', ...vault.slice(0, 1), 'disk.img', ...vault.slice(1));
    await overwrite(range(0, 50));
    await ekko('backup', ...vault.slice(0, 1), 'disk.img', ...vault.slice(1));
    const [oldest] = (await ekko('points', ...vault)).points;
    const [{ run }] = [oldest];
    await ekko('delete', vault[0], run, '--yes', ...vault.slice(1));
    const made = await locksIn('half/');
    const before = Date.now();
    const { locks, locked } = await ekko('sweep', ...vault, '--grace', '0');
    const after = await locksIn('half/');
    const elapsed = (Date.now() - before) / DAY_MS;
    expect(locks).toMatchObject({ shards: 256, dryRun: false });
    // Shorter by the time that has passed, or not: then it was extended.
    const extended = [...made].filter(([key, days]) => Math.abs((after.get(key) ?? 0) - days) < elapsed / 2 + 1e-9);
    expect(locked.objects).toBeGreaterThanOrEqual(4);
    expect(after.size - locked.objects).toBeGreaterThanOrEqual(locks.objects);
    expect(extended.length).toBeLessThanOrEqual(locks.objects);
    const { entries } = await ekko('journal', 'show', ...vault);
    expect(entries.at(-1)).toMatchObject({ type: 'locks-extended' });
    expect(await ekko('extend-locks', ...vault)).toMatchObject({ shards: 0, objects: 0 });
  });

  test('gives back what is needed no more when its lock has ended', async () => {
    const vault = await makeVault('short/', { days: 20 / 86_400 });
    await ekko('backup', vault[0], 'disk.img', ...vault.slice(1));
    await overwrite(range(0, 50).map((segment) => segment + 50));
    await ekko('backup', vault[0], 'disk.img', ...vault.slice(1));
    const [{ run }] = (await ekko('points', ...vault)).points;
    await ekko('delete', vault[0], run, '--yes', ...vault.slice(1));
    let gone = 0;
    const sweep = async () => {
      const { locked, removed } = await ekko('sweep', ...vault, '--grace', '0');
      gone += removed.packs.objects;
      return locked.objects;
    };
    await expect.poll(sweep, { timeout: 120_000, interval: 2000 }).toBe(0);
    expect(gone).toBeGreaterThanOrEqual(1);
    await expectRestored(vault[0], 'five.img').catch(async () => {
      await ekko('restore', vault[0], 'latest', 'six.img', ...vault.slice(1));
      expect((await readFile(desk.path('six.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
    });
  });
});

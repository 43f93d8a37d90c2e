import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '#vault/store/open-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { newBucket, useCeph } from '../../cloud/ceph.ts';
import { useMariadb } from '../../cloud/mariadb.ts';
import { usePostgres } from '../../cloud/postgres.ts';
import { newDatabase, type SqlTestServer } from '../../cloud/sql-server.ts';
import { useSwift } from '../../cloud/swift.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;

/** A vault, by the options that a command needs for it. */
interface Place {
  readonly url: string;
  readonly key: string;
  /** Of its SQL journal; undefined: the journal lies in the store. */
  readonly journal: string | undefined;
}

describe.skipIf(lacks('swift', 'ceph', 'postgres', 'mariadb'))('a vault that is copied between clouds', () => {
  let desk: Desk;
  let environment: NodeJS.ProcessEnv;
  let bucketUrl: string;
  let servers: { readonly postgres: SqlTestServer; readonly mariadb: SqlTestServer };
  let fillings = 0;
  let places = 0;

  beforeAll(async () => {
    const [{ keystone }, ceph, postgres, mariadb] = await Promise.all([
      useSwift(),
      useCeph(),
      usePostgres(),
      useMariadb(),
    ]);
    const bucket = await newBucket(ceph);
    bucketUrl = bucket.url;
    servers = { postgres, mariadb };
    environment = {
      ...bucket.environment,
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_AUTH_URL: keystone.authUrl,
      OS_APPLICATION_CREDENTIAL_ID: keystone.applicationCredential.id,
      OS_APPLICATION_CREDENTIAL_SECRET: keystone.applicationCredential.secret,
    };
    desk = await openDesk(environment);
    await writeImage(desk.path('disk.img'), { size: 24 * MIB - 500, segments: range(0, 300) });
  }, 400_000);
  afterAll(() => desk.remove());

  const inSwift = async (kind: 'postgres' | 'mariadb'): Promise<Place> => {
    const journal = `journal${++places}`;
    await writeFile(desk.path(journal), `${await newDatabase(servers[kind])}\n`, { mode: 0o600 });
    return { url: `swift://ekko-${randomBytes(6).toString('hex')}/web`, key: `key${places}`, journal };
  };
  const inCeph = async (): Promise<Place> => {
    return { url: bucketUrl.replace('?', `/vault${++places}?`), key: `key${places}`, journal: undefined };
  };

  async function ekko(place: Pick<Place, 'key' | 'journal'>, ...args: string[]) {
    const journal = place.journal === undefined ? [] : ['--journal-file', place.journal];
    const { code, output, errors } = await desk.run([...args, '--json', ...journal], { keyFile: place.key });
    expect({ args, code, errors }).toMatchObject({ code: 0 });
    return JSON.parse(output);
  }

  /** A vault with two points, of which the second has two segments changed. */
  async function filled(place: Place): Promise<void> {
    await ekko(place, 'init', place.url, '--no-escrow');
    await ekko(place, 'backup', place.url, 'disk.img');
    const image = await readFile(desk.path('disk.img'));
    // Never what was there, and never zeros, which are not read.
    image.fill(++fillings, 5 * SEGMENT_SIZE, 7 * SEGMENT_SIZE);
    await writeFile(desk.path('disk.img'), image);
    await ekko(place, 'backup', place.url, 'disk.img');
  }

  async function destroy({ url }: Place): Promise<void> {
    const store = await openStore(url, environment);
    const keys = (await Array.fromAsync(store.list(''))).map(({ key }) => key);
    expect(keys.length).toBeGreaterThan(10);
    await store.remove(keys);
    const { code } = await desk.run(['points', url]);
    expect(code).not.toBe(0);
  }

  async function expectRestored(place: Pick<Place, 'url' | 'key' | 'journal'>): Promise<void> {
    const target = `back${++places}.img`;
    await ekko(place, 'restore', place.url, 'latest/disk', target);
    expect((await readFile(desk.path(target))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  }

  const swiftToCeph = async () => [await inSwift('postgres'), await inCeph()] as const;
  const cephToSwift = async () => [await inCeph(), await inSwift('mariadb')] as const;
  const ways = [
    ['from Swift to Ceph', swiftToCeph],
    ['from Ceph to Swift', cephToSwift],
  ] as const;

  // A dozen commands, each of which talks to servers that have a neighbour.
  const TIMEOUT = 400_000;

  test.each(ways)(
    'under another key, %s, is restored when the first one is gone',
    async (_, placesOf) => {
      const [from, to] = await placesOf();
      await filled(from);
      await ekko(to, 'init', to.url, '--no-escrow');
      const targetJournal = to.journal === undefined ? [] : ['--target-journal-file', to.journal];
      const copy = ['copy', from.url, to.url, '--target-key-file', to.key, ...targetJournal];
      const { points } = await ekko(from, ...copy);
      expect(points).toMatchObject([
        { outcome: 'copied', readBytes: 300 * SEGMENT_SIZE },
        { outcome: 'copied', readBytes: 2 * SEGMENT_SIZE },
      ]);
      expect(await ekko(from, ...copy)).toMatchObject({ points: [] });
      await destroy(from);
      await expectRestored(to);
      expect(await ekko(to, 'verify', to.url)).toMatchObject({ findings: [], points: 2 });
    },
    TIMEOUT,
  );

  test.each(ways)(
    'as it is, %s, is restored when the first one is gone, database and all',
    async (_, placesOf) => {
      const [from, { url }] = await placesOf();
      await filled(from);
      const keyless = { key: '', journal: undefined };
      const { objects, entries } = await ekko(keyless, 'copy', from.url, url, '--as-is');
      expect([objects > 5, entries >= 5]).toEqual([true, true]);
      expect(await ekko(keyless, 'copy', from.url, url, '--as-is')).toMatchObject({ objects: 0, entries: 0 });
      await destroy(from);
      const replica = { url, key: from.key, journal: undefined };
      await expectRestored(replica);
      expect(await ekko(replica, 'verify', url)).toMatchObject({ findings: [], points: 2 });
    },
    TIMEOUT,
  );

  /** From a replica, and from a copy under another key. */
  test.each([true, false])(
    'mends the first one (as it is: %s)',
    async (asIs) => {
      const [from, to] = [await inSwift('mariadb'), await inCeph()];
      await filled(from);
      if (!asIs) await ekko(to, 'init', to.url, '--no-escrow');
      const how = asIs ? ['--as-is'] : ['--target-key-file', to.key];
      await ekko(from, 'copy', from.url, to.url, ...how);
      const store = await openStore(from.url, environment);
      const packs = (await Array.fromAsync(store.list('packs/'))).map(({ key }) => key);
      expect(packs.length).toBeGreaterThan(1);
      await store.remove(packs);
      const key = asIs ? [] : ['--from-key-file', to.key];
      expect(await ekko(from, 'repair', from.url, '--from', to.url, ...key)).toMatchObject({ findings: [] });
      await expectRestored(from);
    },
    TIMEOUT,
  );
});

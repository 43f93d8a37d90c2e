import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MOST_MOVED_PACKS } from '#vault/format/move.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { applyRetention } from '../../functions/retention/apply-retention.ts';
import { movePacks } from '../../functions/sweeper/move-packs.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { verifyVault } from '../../functions/verifier/verify-vault.ts';
import { newBucket, useCeph } from '../cloud/ceph.ts';
import { useMariadb } from '../cloud/mariadb.ts';
import { usePostgres } from '../cloud/postgres.ts';
import { newDatabase, type SqlTestServer } from '../cloud/sql-server.ts';
import { useSwift } from '../cloud/swift.ts';
import { keysIn } from '../damage.ts';
import { strays } from '../functions/sweeper/needed-objects.ts';
import { restored } from '../restored.ts';
import { lacks, type Need } from '../setup/cache.ts';
import { backUpTo } from './back-up-to.ts';
import { newModelGuest } from './model-guest.ts';

/** More packs than one move may empty. */
const MANY = MOST_MOVED_PACKS + 4;
const SOME = 24;
const NOW = new Date('2026-06-01T00:00:00Z');

const ceph = async () => {
  const bucket = await newBucket(await useCeph());
  return openS3Store(bucket.url, bucket.environment);
};
const swift = async () => {
  const { keystone } = await useSwift();
  return openSwiftStore(`swift://ekko-${randomBytes(6).toString('hex')}/sweep`, {
    OS_AUTH_TYPE: 'v3applicationcredential',
    OS_AUTH_URL: keystone.authUrl,
    OS_APPLICATION_CREDENTIAL_ID: keystone.applicationCredential.id,
    OS_APPLICATION_CREDENTIAL_SECRET: keystone.applicationCredential.secret,
  });
};

interface Place {
  readonly name: string;
  readonly needs: readonly Need[];
  readonly store: () => Promise<ObjectStore>;
  readonly database: (() => Promise<SqlTestServer>) | undefined;
  /** Of two segments, one of which is soon needed no more: all of them are sparse. */
  readonly packs: number;
}

const PLACES: readonly Place[] = [
  { name: 'Ceph', needs: ['ceph'], store: ceph, database: undefined, packs: MANY },
  {
    name: 'Ceph, its journal in PostgreSQL',
    needs: ['ceph', 'postgres'],
    store: ceph,
    database: usePostgres,
    packs: SOME,
  },
  {
    name: 'Swift, its journal in MariaDB',
    needs: ['swift', 'mariadb'],
    store: swift,
    database: useMariadb,
    packs: SOME,
  },
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-stores-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(PLACES)('a vault in $name', ({ needs, store: openPlace, database, packs }) => {
  let store: ObjectStore;
  let journalFile: string | undefined;
  beforeAll(async () => {
    if (lacks(...needs)) return;
    store = await openPlace();
    journalFile = database && (await journalFileOf(await database()));
  }, 300_000);

  test.skipIf(lacks(...needs))(
    'is backed up into, thinned out, swept, compacted and swept again: what is left restores, and nothing else is left',
    { timeout: 300_000 },
    async () => {
      const { identity } = newIdentity();
      const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
      await createVault(store, { recipients, noEscrow: true, now: NOW, journalFile });
      const open = () => openVault(store, { origin: 'test', identity: async () => identity }, journalFile);
      const guest = newModelGuest({ name: 'disk', segments: 2 * packs, missing: 0, dead: () => false });
      const staging = openMemoryStore();
      const backUp = async (partSegments: number) => backUpTo(await open(), { source: guest, staging, partSegments });

      for (let segment = 0; segment < 2 * packs; segment++) guest.write(segment, segment + 1);
      const first = await backUp(2);
      for (let segment = 0; segment < 2 * packs; segment += 2) guest.write(segment, 10_000 + segment);
      await backUp(64);
      await (await open()).journal.append(() => ({
        ...{ type: 'retention-set', policy: { last: 1, timeZone: 'UTC' }, confirmed: true, at: NOW.toISOString() },
      }));
      const { groups } = await applyRetention(await open(), {
        group: undefined,
        dryRun: false,
        confirmed: true,
        now: NOW,
      });
      expect(groups.flatMap(({ expired }) => expired)).toEqual([first.id]);

      const sweep = async () => sweepVault(await open(), { now: NOW, graceHours: 0 });
      expect((await sweep()).points.map(({ run }) => run)).toEqual([first.id]);
      const { moved } = await movePacks(await open(), { now: NOW, below: 1, leastGain: 1 });
      expect(moved.packs).toBe(packs);
      expect(new Set((await open()).journal.state().moved.values()).size).toBe(Math.ceil(packs / MOST_MOVED_PACKS));
      expect((await sweep()).removed.packs.objects).toBe(packs);

      const vault = await open();
      await expectWhole(vault, guest.moments);
      expect((await strays(vault)).filter((stray) => !stray.startsWith('sample'))).toEqual([]);
      expect((await keysIn(store, Folder.packs)).length).toBeLessThan(packs / 4);
    },
  );
});

async function expectWhole(vault: Vault, moments: ReadonlyMap<string, Buffer>): Promise<void> {
  const points = [...vault.journal.state().points.values()];
  expect(points).toHaveLength(1);
  for (const { run } of points) expect(moments.get(run)?.equals(await restored(vault, run))).toBe(true);
  const { store, keyring, journal } = vault;
  expect((await verifyVault({ store, keyring, journal, points, threads: undefined })).findings).toEqual([]);
}

async function journalFileOf(server: SqlTestServer): Promise<string> {
  const path = join(folder, randomBytes(6).toString('hex'));
  await writeFile(path, `${await newDatabase(server)}\n`, { mode: 0o600 });
  return path;
}

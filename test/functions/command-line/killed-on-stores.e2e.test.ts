import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { newBucket, useCeph } from '../../cloud/ceph.ts';
import { useMariadb } from '../../cloud/mariadb.ts';
import { newDatabase } from '../../cloud/sql-server.ts';
import { useSwift } from '../../cloud/swift.ts';
import { restored } from '../../restored.ts';
import { lacks, type Need } from '../../setup/cache.ts';
import { strays } from '../sweeper/needed-objects.ts';
import { type LifeOrDeath, runUntilDeath, type WayToVault } from './deadly-way.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

/** In each two processes beside each other, both to be killed. For a long trial: EKKO_TEST_KILL_ROUNDS=200. */
const ROUNDS = Number(process.env['EKKO_TEST_KILL_ROUNDS'] ?? 5);
const SEED = Number(process.env['EKKO_TEST_KILL_SEED'] ?? 20261121);
/** Two parts. */
const SEGMENTS = 420;
const RANDOM = 48;
/** More threads would only take longer to start. */
const BACKUP = ['backup', 'disk.img', '--workers', '1'] as const;
const BESIDE = ['sweep', 'compact', 'delete', 'sweep'] as const;

interface Place {
  /** Origin of the store's API. */
  readonly upstream: string;
  readonly way: (endpoint: string) => WayToVault;
  readonly open: (way: WayToVault) => Promise<ObjectStore> | ObjectStore;
  /** Where the journal is, if it is in SQL. */
  readonly database: string | undefined;
}

const PLACES: readonly { readonly name: string; readonly needs: readonly Need[]; use(): Promise<Place> }[] = [
  { name: 'Ceph', needs: ['ceph'], use: inCeph },
  { name: 'Swift, its journal in MariaDB', needs: ['swift', 'mariadb'], use: inSwift },
];

async function inCeph(): Promise<Place> {
  const ceph = await useCeph();
  const { name, environment } = await newBucket(ceph);
  return {
    upstream: ceph.endpoint,
    way: (endpoint) => ({ url: `s3://${name}/killed?endpoint=${endpoint}`, environment }),
    open: (way) => openS3Store(way.url, environment),
    database: undefined,
  };
}

async function inSwift(): Promise<Place> {
  const [{ keystone, origin, storageUrl }, server] = await Promise.all([useSwift(), useMariadb()]);
  const url = `swift://ekko-${randomBytes(6).toString('hex')}/killed`;
  const credential = {
    OS_AUTH_TYPE: 'v3applicationcredential',
    OS_AUTH_URL: keystone.authUrl,
    OS_APPLICATION_CREDENTIAL_ID: keystone.applicationCredential.id,
    OS_APPLICATION_CREDENTIAL_SECRET: keystone.applicationCredential.secret,
  };
  return {
    upstream: origin,
    way: (endpoint) => ({
      url,
      environment: { ...credential, OS_STORAGE_URL: storageUrl.replace(origin, endpoint) },
    }),
    open: (way) => openSwiftStore(url, way.environment),
    database: await newDatabase(server),
  };
}

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const digestOf = (image: Buffer) => createHash('sha256').update(image).digest('hex');

describe.each(PLACES)('a vault in $name', ({ needs, use }) => {
  const chance = seeded(SEED);
  let place: Place;
  let desk: Desk;
  let journal: readonly string[];
  beforeAll(async () => {
    if (lacks(...needs)) return;
    place = await use();
    desk = await openDesk();
    if (place.database !== undefined) await writeFile(desk.path('journal'), `${place.database}\n`, { mode: 0o600 });
    journal = place.database === undefined ? [] : ['--journal-file', 'journal'];
    await writeImage(desk.path('disk.img'), { size: SEGMENTS * SEGMENT_SIZE, segments: range(0, RANDOM) });
  }, 300_000);
  afterAll(() => desk?.remove());

  /** What each restore point must hold. */
  const digests = new Map<string, string>();
  /** Requests that each command makes when nobody kills it. */
  const usual = new Map<string, number>();

  async function openHere(): Promise<Vault> {
    const store = await place.open(place.way(place.upstream));
    const file = place.database === undefined ? undefined : desk.path('journal');
    return openVault(store, keyFileProvider(desk.path('key')), file);
  }

  /** Runs a command, to be killed on one of the requests that it usually makes. */
  async function deadly(command: string, ...args: readonly string[]): Promise<LifeOrDeath> {
    const request = 1 + Math.floor(chance() * (usual.get(command) ?? 0));
    const when = chance() < 0.5 ? 'before' : 'after';
    const end = await runUntilDeath(desk, place, (url) => [command, url, ...args, ...journal], { request, when });
    // Who meets another's entry may be told so; a process that is not killed does what it was asked for, or says why not.
    if (!end.killed) expect({ command, code: end.code, errors: end.errors }).toMatchObject({ code: 0 });
    return end;
  }

  async function calm(command: string, ...args: readonly string[]): Promise<void> {
    const end = await runUntilDeath(desk, place, (url) => [command, url, ...args, ...journal], undefined);
    expect({ command, code: end.code, errors: end.code === 0 ? '' : end.errors }).toEqual({
      ...{ command, code: 0, errors: '' },
    });
    usual.set(command, end.requests);
  }

  /** Changes two thirds of the disk; what is random makes packs that are worth compacting, the rest costs little. */
  async function scribble(round: number): Promise<void> {
    await using file = await open(desk.path('disk.img'), 'r+');
    for (const segment of range(0, SEGMENTS).filter((each) => (each * 7 + round) % 3 !== 0)) {
      const bytes =
        segment < RANDOM ? randomBytes(SEGMENT_SIZE) : Buffer.alloc(SEGMENT_SIZE, `${segment} in ${round} `);
      await file.write(bytes, 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
    }
  }

  /** Restore points that are new hold what the disk is: only one backup can have made them. */
  async function expectNewest(): Promise<void> {
    const vault = await openHere();
    const digest = digestOf(await readFile(desk.path('disk.img')));
    for (const run of [...vault.journal.state().points.keys()].filter((each) => !digests.has(each))) {
      digests.set(run, digest);
      expect({ run, digest: digestOf(await restored(vault, run)) }).toEqual({ run, digest });
    }
  }

  /** Every restore point is whole and holds what the disk was. */
  async function expectWhole(): Promise<void> {
    const vault = await openHere();
    const points = [...vault.journal.state().points.values()];
    for (const { run } of points)
      expect({ run, digest: digestOf(await restored(vault, run)) }).toEqual({ run, digest: digests.get(run) });
    expect((await verifyVault({ ...vault, points, threads: undefined })).findings).toEqual([]);
  }

  const oldest = async () => [...(await openHere()).journal.state().points.keys()][0] ?? '';

  test.skipIf(lacks(...needs))(
    'keeps every restore point whatever process is killed on whatever request, and nothing is left in the end',
    { timeout: 240_000 + ROUNDS * 20_000, retry: 0 },
    async () => {
      await calm('init', '--no-escrow');
      for (const round of [1, 2]) {
        await scribble(round);
        await calm(...BACKUP);
        await expectNewest();
      }
      await calm('delete', await oldest());
      await calm('sweep', '--grace', '0');
      await calm('compact', '--below', '100');

      let kills = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await scribble(round);
        const point = await oldest();
        const beside = point === '' ? 'sweep' : (BESIDE[round % BESIDE.length] ?? 'sweep');
        const args = { sweep: ['--grace', '0'], compact: ['--below', '100'], delete: [point, '--last-one-too'] };
        const ends = await Promise.all([deadly(...BACKUP), deadly(beside, ...args[beside])]);
        kills += ends.filter(({ killed }) => killed).length;
        await expectNewest();
        if (round % 4 === 3) await expectWhole();
      }
      // Who finds less to do than usual makes fewer requests, and lives.
      expect(kills).toBeGreaterThan(ROUNDS / 2);

      await scribble(ROUNDS);
      for (const command of ['backup', 'sweep', 'compact', 'sweep'] as const)
        await calm(
          command,
          ...{ backup: BACKUP.slice(1), sweep: ['--grace', '0'], compact: ['--below', '100'] }[command],
        );
      await calm('verify');
      await expectNewest();
      await expectWhole();
      expect((await strays(await openHere())).filter((stray) => !stray.startsWith('sample'))).toEqual([]);
    },
  );
});

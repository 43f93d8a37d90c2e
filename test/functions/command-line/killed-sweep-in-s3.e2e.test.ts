import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type CephBucket, newBucket, useCeph } from '../../cloud/ceph.ts';
import { restored } from '../../model/world.ts';
import { lacks } from '../../setup/cache.ts';
import { strays } from '../sweeper/needed-objects.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const SEGMENTS = 48;
const KILLS = 10;

describe.skipIf(lacks('ceph'))('a vault in a bucket of S3', () => {
  let bucket: CephBucket;
  let desk: Desk;
  beforeAll(async () => {
    bucket = await newBucket(await useCeph());
    desk = await openDesk(bucket.environment);
    await writeImage(desk.path('disk.img'), { size: SEGMENTS * SEGMENT_SIZE, segments: range(0, SEGMENTS) });
    await ekko('init', bucket.url, '--no-escrow');
    await ekko('backup', bucket.url, 'disk.img');
  });
  afterAll(() => desk.remove());

  const openHere = async (): Promise<Vault> =>
    openVault(await openS3Store(bucket.url, bucket.environment), keyFileProvider(desk.path('key')));

  async function ekko(...args: string[]): Promise<void> {
    const { code, errors } = await desk.run(args);
    expect({ args, code, errors: code === 0 ? '' : errors }).toEqual({ args, code: 0, errors: '' });
  }

  /** Two thirds of the disk are written anew and backed up, and the points before are given up. */
  async function goOn(round: number): Promise<void> {
    await using file = await open(desk.path('disk.img'), 'r+');
    for (const segment of range(0, SEGMENTS).filter((each) => (each + round) % 3 !== 0)) {
      await file.write(randomBytes(SEGMENT_SIZE), 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
    }
    await ekko('backup', bucket.url, 'disk.img');
    const { journal } = await openHere();
    const points = [...journal.state().points.keys()].slice(0, -1);
    await journal.append(() => ({ type: 'points-expired', points, reason: 'test', at: new Date().toISOString() }));
  }

  async function expectNewest(): Promise<void> {
    const vault = await openHere();
    const newest = [...vault.journal.state().points.keys()].at(-1) ?? '';
    expect((await readFile(desk.path('disk.img'))).equals(await restored(vault, newest))).toBe(true);
  }

  test('whose sweeps and compactions are killed at any moment loses nothing, and later ones finish what they began', async () => {
    const commands = {
      sweep: ['sweep', bucket.url, '--grace', '0'],
      compact: ['compact', bucket.url, '--below', '100'],
    };
    const took = { sweep: 0, compact: 0 };
    for (const name of ['sweep', 'compact'] as const) {
      const began = performance.now();
      await ekko(...commands[name]);
      took[name] = performance.now() - began;
    }
    for (let kill = 0; kill < KILLS; kill++) {
      await goOn(kill);
      const name = kill % 2 === 0 ? 'sweep' : 'compact';
      const { child, ended } = desk.start(commands[name]);
      // From a third on: before that it only starts. What is done takes longer than what was measured, when nothing was to do.
      await pause((took[name] * (KILLS / 2 + kill)) / KILLS);
      child.kill('SIGKILL');
      await ended;
      await expectNewest();
    }
    for (const name of ['sweep', 'compact', 'sweep'] as const) await ekko(...commands[name]);
    expect((await strays(await openHere())).filter((stray) => !stray.startsWith('sample'))).toEqual([]);
    await ekko('verify', bucket.url);
    await expectNewest();
  }, 300_000);
});

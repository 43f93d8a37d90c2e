import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { flipped, keysIn, replaceObject } from '../../damage.ts';
import { restored } from '../../restored.ts';
import { storedObjects, strays } from '../sweeper/needed-objects.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const SEGMENTS = 96;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: SEGMENTS * SEGMENT_SIZE, segments: range(0, SEGMENTS) });
});
afterEach(() => desk.remove());

const openHere = (): Promise<Vault> => openVault(openFileStore(desk.path('vault')), keyFileProvider(desk.path('key')));

async function scribble(segments: readonly number[]): Promise<void> {
  await using file = await open(desk.path('disk.img'), 'r+');
  for (const segment of segments) await file.write(randomBytes(SEGMENT_SIZE), 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
}

async function backUp(): Promise<void> {
  const { code, errors } = await desk.run(['backup', 'vault', 'disk.img']);
  expect({ code, errors: code === 0 ? '' : errors }).toEqual({ code: 0, errors: '' });
}

/** All points but the newest. */
async function expireOlder(): Promise<number> {
  const { journal } = await openHere();
  const points = [...journal.state().points.keys()].slice(0, -1);
  const at = new Date().toISOString();
  if (points.length > 0) await journal.append(() => ({ type: 'points-expired', points, reason: 'test', at }));
  return points.length;
}

/** A vault in which three quarters of each pack of the first point are needed no more. */
async function sparseVault(): Promise<void> {
  await backUp();
  await scribble(range(0, SEGMENTS).filter((segment) => segment % 4 !== 0));
  await backUp();
  await expireOlder();
}

async function expectWhole(): Promise<void> {
  const vault = await openHere();
  const { points } = vault.journal.state();
  const { findings } = await verifyVault({ ...vault, points: [...points.values()], threads: undefined });
  expect(findings).toEqual([]);
  const newest = [...points.keys()].at(-1) ?? '';
  expect((await readFile(desk.path('disk.img'))).equals(await restored(vault, newest))).toBe(true);
}

describe('ekko sweep', () => {
  test('says beforehand what goes, then removes it; what can still be brought back stays', async () => {
    await sparseVault();
    const kept = await desk.run(['sweep', 'vault']);
    expect({ code: kept.code, output: kept.output }).toEqual({
      code: 0,
      output: expect.stringContaining('1 expired point can still be brought back'),
    });
    const objects = await storedObjects(await openHere());
    const dry = await desk.run(['sweep', 'vault', '--grace', '0', '--dry-run']);
    expect(dry.output).toMatch(/^Would remove \d+ objects, .*\.\n(.*\n)* {2}points {5}.*1 object/m);
    expect(await storedObjects(await openHere())).toEqual(objects);
    const done = await desk.run(['sweep', 'vault', '--grace', '0', '--json']);
    expect(done.code).toBe(0);
    const report = JSON.parse(done.output);
    expect(report).toMatchObject({
      dryRun: false,
      points: [{ group: 'default' }],
      problems: [],
      removed: { points: { objects: 1 } },
    });
    expect(report.requests.get).toBeGreaterThan(0);
    expect(report.requestsPerThousandPacks).toBeGreaterThan(0);
    expect(await strays(await openHere())).toEqual([]);
    expect((await desk.run(['sweep', 'vault', '--grace', '0'])).output).toContain('There is nothing to remove.');
    await expectWhole();
  });

  test('gives up old runs when it is told to, and then removes what they left', async () => {
    await backUp();
    const { journal, store } = await openHere();
    const run = '20200101-000000-00000a';
    const started = {
      type: 'run-started',
      run,
      group: 'g',
      disks: ['d'],
      host: 'h',
      at: '2020-01-01T00:00:00.000Z',
    } as const;
    await journal.append(() => started);
    await store.create(`${Folder.staging}${run}/0000/00000000`, [Buffer.from('x')]);
    await desk.run(['sweep', 'vault']);
    expect(await keysIn(store, Folder.staging)).toHaveLength(1);
    const { output } = await desk.run(['sweep', 'vault', '--abandon-older-than', '2d']);
    expect(output).toContain(`Gave up 1 run: ${run}.`);
    expect(await keysIn(store, Folder.staging)).toEqual([]);
  });

  test('names a page that cannot be read, removes no pack, and ends with 3', async () => {
    await sparseVault();
    const { store } = await openHere();
    const packs = await keysIn(store, Folder.packs);
    for (const key of await keysIn(store, Folder.pages))
      await replaceObject(store, key, flipped(await store.get(key), 90));
    const { code, output } = await desk.run(['sweep', 'vault', '--grace', '0']);
    expect(code).toBe(3);
    expect(output).toMatch(/no page, move or pack was removed\. Verify the vault and repair it first:\n {2}pages\//);
    expect(await keysIn(store, Folder.packs)).toEqual(packs);
  });

  test.each([['7x'], ['-1'], ['7'], ['']])('refuses a time such as %j', async (time) => {
    expect((await desk.run(['sweep', 'vault', '--grace', time])).code).toBe(2);
  });
});

describe('ekko compact', () => {
  test('rewrites sparse packs, and the next sweep frees them', async () => {
    await sparseVault();
    await desk.run(['sweep', 'vault', '--grace', '0']);
    const dry = await desk.run(['compact', 'vault', '--dry-run']);
    expect(dry.output).toMatch(/^Found \d sparse packs? of \d: .* of which about .* can go\.\nWould rewrite/);
    const { code, output } = await desk.run(['compact', 'vault']);
    expect(code).toBe(0);
    expect(output).toMatch(
      /^Rewrote \d packs?, [\d.]+ MiB, as 1 new pack, [\d.]+ MiB\.\nThe old packs go with the next `ekko sweep`\.$/m,
    );
    await expectWhole();
    const swept = JSON.parse((await desk.run(['sweep', 'vault', '--json'])).output);
    expect(swept.removed.packs.bytes).toBeGreaterThan(4 * 1024 ** 2);
    await expectWhole();
    expect((await desk.run(['compact', 'vault'])).output).toContain('There is nothing to compact.');
    expect((await desk.run(['verify', 'vault'])).code).toBe(0);
    await desk.run(['restore', 'vault', 'latest', 'again.img']);
    expect((await readFile(desk.path('again.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
    await scribble([1, 2, 3]);
    await backUp();
    await expectWhole();
  });

  test('copies no more than it may', async () => {
    await sparseVault();
    await desk.run(['sweep', 'vault', '--grace', '0']);
    const { moved, chosen, sparse } = JSON.parse(
      (await desk.run(['compact', 'vault', '--limit', '1M', '--json'])).output,
    );
    expect(sparse.packs).toBeGreaterThan(0);
    expect([chosen.packs, moved.packs]).toEqual([0, 0]);
  });
});

test('sweeps and compactions that are killed at any moment lose nothing, and later ones finish what they began', async () => {
  await backUp();
  const took: Record<string, number> = { sweep: 0, compact: 0 };
  const commands = {
    sweep: ['sweep', 'vault', '--grace', '0'],
    compact: ['compact', 'vault', '--below', '100'],
  } as const;
  for (const name of ['sweep', 'compact'] as const) {
    const began = performance.now();
    await desk.run(commands[name]);
    took[name] = performance.now() - began;
  }
  for (let kill = 0; kill < 24; kill++) {
    await scribble(range(0, SEGMENTS).filter((segment) => (segment * 7 + kill) % 3 !== 0));
    await backUp();
    await expireOlder();
    const name = kill % 2 === 0 ? 'sweep' : 'compact';
    const { child, ended } = desk.start(commands[name]);
    // From the middle on: before that it only starts.
    await pause(((took[name] ?? 0) * (12 + kill)) / 30);
    child.kill('SIGKILL');
    await ended;
    await expectWhole();
  }
  for (const name of ['sweep', 'compact', 'sweep'] as const) expect((await desk.run(commands[name])).code).toBe(0);
  expect((await strays(await openHere())).filter((stray) => !stray.startsWith('sample'))).toEqual([]);
  await expectWhole();
}, 300_000);

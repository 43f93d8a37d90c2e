import { randomBytes } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { keysIn } from '../../damage.ts';
import { restored } from '../../restored.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const SEGMENTS = 64;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await writeImage(desk.path('disk.img'), { size: SEGMENTS * SEGMENT_SIZE, segments: range(0, SEGMENTS) });
  await ekko('init', 'vault', '--no-escrow');
  await ekko('backup', 'vault', 'disk.img');
  await scribble(range(0, SEGMENTS).filter((segment) => segment % 4 !== 0));
  await ekko('backup', 'vault', 'disk.img');
});
afterEach(() => desk.remove());

async function ekko(...args: readonly string[]): Promise<string> {
  const { code, output, errors } = await desk.run(args);
  expect({ args, code, errors: code === 0 ? '' : errors + output }).toEqual({ args, code: 0, errors: '' });
  return output;
}

const openHere = (): Promise<Vault> => openVault(openFileStore(desk.path('vault')), keyFileProvider(desk.path('key')));

async function scribble(segments: readonly number[]): Promise<void> {
  await using file = await open(desk.path('disk.img'), 'r+');
  for (const segment of segments) await file.write(randomBytes(SEGMENT_SIZE), 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
}

async function expireOlder(): Promise<string> {
  const { journal } = await openHere();
  const [older = ''] = journal.state().points.keys();
  const at = new Date().toISOString();
  await journal.append(() => ({ type: 'points-expired', points: [older], reason: 'test', at }));
  return older;
}

test('what was compacted is followed: the emptied packs are not missed, and the new ones are put back', async () => {
  await expireOlder();
  await ekko('sweep', 'vault', '--grace', '0');
  await ekko('compact', 'vault');
  await ekko('sweep', 'vault', '--grace', '0');
  await ekko('copy', 'vault', 'replica', '--as-is');
  expect((await openHere()).journal.state().moved.size).toBeGreaterThan(0);
  expect(JSON.parse(await ekko('repair', 'vault', '--from', 'replica', '--json'))).toMatchObject({
    objects: [],
    findings: [],
  });
  const packs = await keysIn(openFileStore(desk.path('vault')), Folder.packs);
  for (const pack of packs) await rm(desk.path(`vault/${pack}`));
  const { objects, findings } = JSON.parse(await ekko('repair', 'vault', '--from', 'replica', '--json'));
  expect(objects.map(({ key }: { key: string }) => key).sort()).toEqual(packs);
  expect(findings).toEqual([]);
  const vault = await openHere();
  const newest = [...vault.journal.state().points.keys()].at(-1) ?? '';
  expect((await readFile(desk.path('disk.img'))).equals(await restored(vault, newest))).toBe(true);
});

test('what only expired points need is put back too: they may be brought back', async () => {
  const before = await restoredOlder();
  const older = await expireOlder();
  await ekko('copy', 'vault', 'replica', '--as-is');
  for (const folder of ['packs', 'pages', 'manifests', 'points'])
    await rm(desk.path(`vault/${folder}`), { recursive: true });
  await ekko('repair', 'vault', '--from', 'replica');
  expect((await restored(await openHere(), older)).equals(before)).toBe(true);
});

async function restoredOlder(): Promise<Buffer> {
  const vault = await openHere();
  const [older = ''] = vault.journal.state().points.keys();
  return restored(vault, older);
}

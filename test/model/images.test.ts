import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RestorePoint } from '#vault/format/point.ts';
import { imageName } from '#vault/images.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import type { ChangedBlockSource, FullReason } from '#vault/staging/changed-block-source.ts';
import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { segmentsOf } from '#vault/words.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { contentOf, type ImageGuest, imageSource, type ModelImage, segmentOf, writeImage } from './image-guest.ts';
import { openInlineHost } from './inline-host.ts';

const { identity } = newIdentity();
const provider = { origin: 'test', identity: async () => identity };
let directory: string;
let image: ModelImage;
let store: CountedStore;
let vault: Vault;
let remarks: string[];
let distrusted: number;
let planned: string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-images-'));
  image = await writeImage(join(directory, 'base'), 'image', 40);
});
afterAll(() => rm(directory, { recursive: true }));

beforeEach(async () => {
  store = openCountedStore(openMemoryStore());
  [remarks, distrusted, planned] = [[], 0, []];
  const recipients = [{ kind: 'key-file' as const, publicKey: identity.publicKey }];
  await createVault(store, { recipients, noEscrow: true, now: new Date() });
  vault = await openVault(store, provider);
});

function server(name: string, own: readonly number[], segments = 48): ImageGuest {
  return { name, image, segments, own: new Map(own.map((n) => [n, segmentOf(`${name} ${n} `)])) };
}

function backUp(source: ChangedBlockSource, readAll?: FullReason, auditShare = 0): Promise<RestorePoint> {
  return runBackup({
    ...{ vault, host: openInlineHost(vault), source, group: 'servers', quiesce: 'never', readAll, auditShare },
    ...{ bandwidth: undefined, partSegments: 16, partsWaiting: 4 },
    watch: {
      ...{ read: () => undefined, staged: () => undefined },
      planned: (_moment, _bytes, group) => planned.push(group),
      distrusted: () => distrusted++,
      remark: (message) => remarks.push(message),
    },
  });
}

async function restored(manifestName: string | undefined): Promise<Buffer> {
  const manifest = await readManifest(vault, manifestName ?? '');
  const disk = Buffer.alloc(manifest.diskSize);
  const all = { first: 0, count: segmentsOf(manifest.diskSize) };
  for await (const piece of openDiskReader(vault, { bestEffort: false }).read(manifest, all)) {
    if (piece.kind === 'data') disk.set(piece.bytes, piece.offset);
  }
  return disk;
}

function pointsOf(group: string) {
  return [...vault.journal.state().points.values()].filter((point) => point.group === group);
}

test('an image is backed up once, and of each server what its disk holds itself; every disk restores whole', async () => {
  const guests = [server('a', [3, 45]), server('b', []), server('c', [0, 1, 2, 39], 40)];
  for (const guest of guests) {
    const { disks } = await backUp(imageSource(guest));
    expect(disks[0]).toMatchObject({ baseDisk: imageName(image.digest), changedBytes: guest.own.size * 65_536 });
    expect((await restored(disks[0]?.manifest)).equals(contentOf(guest))).toBe(true);
  }
  expect(planned).toEqual([imageName(image.digest), 'servers', 'servers', 'servers']);
  const [kept, ...others] = pointsOf(imageName(image.digest));
  expect(others).toEqual([]);
  expect((await restored(kept?.disks[0]?.manifest)).equals(Buffer.concat(image.contents))).toBe(true);
  expect(remarks).toEqual([]);
});

test('a server restores when its image has been deleted and swept, and the next server has it backed up again', async () => {
  const guest = server('a', [3]);
  const [disk] = (await backUp(imageSource(guest))).disks;
  const [point] = pointsOf(imageName(image.digest));
  const at = '2020-01-01T00:00:00.000Z';
  await vault.journal.append(() => ({ type: 'points-expired', points: [point?.run ?? ''], reason: 'test', at }));
  for (let i = 0; i < 3; i++) await sweepVault(vault, { now: new Date() });
  expect(vault.journal.state().expired.size).toBe(0);
  expect((await restored(disk?.manifest)).equals(contentOf(guest))).toBe(true);
  const next = server('b', [5]);
  const [second] = (await backUp(imageSource(next))).disks;
  expect(second).toMatchObject({ baseDisk: imageName(image.digest) });
  expect((await restored(second?.manifest)).equals(contentOf(next))).toBe(true);
});

test('what is staged under the name of another image is refused, and the server is read in full', async () => {
  const guest = server('a', [3]);
  const { disks } = await backUp(imageSource(guest, 'ab'.repeat(32)));
  expect(disks[0]).not.toHaveProperty('baseDisk');
  expect((await restored(disks[0]?.manifest)).equals(contentOf(guest))).toBe(true);
  expect(remarks).toMatchObject([expect.stringContaining('it is another image')]);
  expect(pointsOf(imageName('ab'.repeat(32)))).toEqual([]);
});

test('a server whose image is not what its exporter believes is found by the audit, and read in full', async () => {
  await backUp(imageSource(server('a', [])));
  const other = await writeImage(join(directory, 'other'), 'other', 40);
  const guest = { ...server('b', [3]), image: other };
  const { disks } = await backUp(imageSource(guest, image.digest), undefined, 1);
  expect(distrusted).toBe(1);
  expect(disks[0]).toMatchObject({ fullReason: 'first-backup' });
  expect(disks[0]).not.toHaveProperty('baseDisk');
  expect((await restored(disks[0]?.manifest)).equals(contentOf(guest))).toBe(true);
});

test('a disk counts from images alone, never from the disk of another server', async () => {
  const secret = await backUp(imageSource(server('secret', [0]), undefined), 'asked-for');
  const source = imageSource(server('thief', []));
  const point = { name: 'secret', point: secret.id, size: image.size, manifest: '' };
  const lying: ChangedBlockSource = {
    ...source,
    images: async () => [],
    take: (request) => source.take({ ...request, image: () => point }),
  };
  await expect(backUp(lying)).rejects.toMatchObject({ code: 'part-refused' });
});

test('a disk that is smaller than its image is refused', async () => {
  await backUp(imageSource(server('a', [])));
  await expect(backUp(imageSource(server('small', [], 39)))).rejects.toMatchObject({ code: 'part-refused' });
});

test('a backup that is to read everything asks for no image', async () => {
  const { disks } = await backUp(imageSource(server('a', [])), 'asked-for');
  expect(disks[0]).not.toHaveProperty('baseDisk');
  expect(pointsOf(imageName(image.digest))).toEqual([]);
});

import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { imageName } from '#vault/images.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import type { FunctionHost } from '../../functions/host/function-host.ts';
import { openFileSource } from '../../host-exporter/changed-blocks/file-source.ts';
import { qemuImg, qemuIo } from '../host-exporter/changed-blocks/running-qemu.ts';
import { lacks } from '../setup/cache.ts';
import { contentOf, type ImageGuest, imageSource, segmentOf, writeImage } from './image-guest.ts';
import { openInlineHost } from './inline-host.ts';

const { identity } = newIdentity();
const provider = { origin: 'test', identity: async () => identity };
const MIB = 1024 * 1024;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-images-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** What is read of disks, staged and stored, and how often the store is asked. */
interface Costs {
  read: number;
  staged: number;
  packs: number;
  stored: number;
}

interface Site {
  readonly vault: Vault;
  readonly host: FunctionHost;
  readonly costs: Costs;
  readonly store: CountedStore;
}

async function openSite(place: ObjectStore): Promise<Site> {
  const costs: Costs = { read: 0, staged: 0, packs: 0, stored: 0 };
  const store = openCountedStore({
    ...place,
    create: (key, body, options) => {
      const size = body.reduce((sum, { length }) => sum + length, 0);
      if (key.startsWith(Folder.staging)) costs.staged += size;
      else costs.stored += size;
      if (key.startsWith(Folder.packs)) costs.packs++;
      return place.create(key, body, options);
    },
  });
  const recipients = [{ kind: 'key-file' as const, publicKey: identity.publicKey }];
  await createVault(store, { recipients, noEscrow: true, now: new Date() });
  const vault = await openVault(store, provider);
  return { vault, host: openInlineHost(vault), costs, store };
}

async function backUp({ vault, host, costs }: Site, source: ChangedBlockSource) {
  const point = await runBackup({
    ...{ vault, host, source, group: 'servers', quiesce: 'never', readAll: undefined, auditShare: 0 },
    ...{ bandwidth: undefined, partSegments: 256, partsWaiting: 4 },
    watch: {
      ...{ planned: () => undefined, staged: () => undefined, distrusted: expect.fail, remark: expect.fail },
      read: (bytes) => {
        costs.read += bytes;
      },
    },
  });
  await source.close();
  return point;
}

async function restored(vault: Vault, manifestName: string | undefined): Promise<Buffer> {
  const manifest = await readManifest(vault, manifestName ?? '');
  const disk = Buffer.alloc(manifest.diskSize);
  const all = { first: 0, count: segmentsOf(manifest.diskSize) };
  for await (const piece of openDiskReader(vault, { bestEffort: false }).read(manifest, all)) {
    if (piece.kind === 'data') disk.set(piece.bytes, piece.offset);
  }
  return disk;
}

function pointsOf({ vault }: Site, group: string) {
  return [...vault.journal.state().points.values()].filter((point) => point.group === group);
}

const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;

describe.skipIf(lacks('qemu'))('with real qcow2 overlays', () => {
  test('20 servers of one image cost one image and 20 overlays: read, staged and stored', {
    timeout: 600_000,
  }, async () => {
    const [IMAGE, OWN, SERVERS] = [64 * MIB, MIB, 20];
    const base = join(directory, 'base');
    const file = await open(base, 'w');
    for (let at = 0; at < IMAGE; at += 8 * MIB) await file.write(randomBytes(8 * MIB), 0, 8 * MIB, at);
    await file.close();
    const site = await openSite(openFileStore(join(directory, 'vault')));
    const points = [];
    for (let i = 1; i <= SERVERS; i++) {
      const overlay = join(directory, `server-${i}`);
      await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, overlay, String(2 * IMAGE));
      await qemuIo(overlay, `write -P ${i} ${i * 2}M ${OWN}`);
      const source = await openFileSource([{ path: overlay, name: `server-${i}`, format: 'qcow2' }], directory);
      points.push({ overlay, point: await backUp(site, source) });
    }
    const { costs } = site;
    console.log(
      `20 servers of an image of ${mib(IMAGE)}, ${mib(OWN)} of their own each: read ${mib(costs.read)}, ` +
        `staged ${mib(costs.staged)}, stored ${mib(costs.stored)} in ${costs.packs} packs`,
    );
    // Each segment is read once for the vault; what its file costs to be called by a digest is not in it.
    expect(costs.read).toBe(IMAGE + SERVERS * OWN);
    expect(costs.staged).toBeLessThan((IMAGE + SERVERS * OWN) * 1.01);
    // What servers wrote themselves is one byte over and over here.
    expect(costs.stored).toBeLessThan(IMAGE * 1.01);
    expect(pointsOf(site, 'servers')).toHaveLength(SERVERS);
    const [image, ...others] = [...site.vault.journal.state().points.values()].filter(
      ({ group }) => group !== 'servers',
    );
    expect([image?.disks[0]?.size, others]).toEqual([IMAGE, []]);
    for (const { overlay, point } of [points[0], points[19]].flatMap((one) => one ?? [])) {
      const raw = join(directory, 'raw');
      await qemuImg('convert', '-O', 'raw', overlay, raw);
      const expected = await readFile(raw);
      expect((await restored(site.vault, point.disks[0]?.manifest)).equals(expected)).toBe(true);
    }
  });
});

test('1,000 servers of one image cost one image and 1,000 deltas, the last as little as the first', {
  timeout: 900_000,
}, async () => {
  const [SEGMENTS, SERVERS] = [64, 1000];
  const image = await writeImage(join(directory, 'base'), 'image', SEGMENTS);
  const site = await openSite(openMemoryStore());
  const { costs, store, vault } = site;
  const requests = () => ({
    create: store.requests('create'),
    get: store.requests('get'),
    list: store.requests('list'),
  });
  const marks: { at: number; costs: Costs; requests: ReturnType<typeof requests> }[] = [];
  const guests: ImageGuest[] = [];
  for (let i = 0; i < SERVERS; i++) {
    const own = [i % SEGMENTS, SEGMENTS + 3].map((n) => [n, segmentOf(`server ${i} segment ${n} `)] as const);
    const guest: ImageGuest = { name: `server-${i}`, image, segments: SEGMENTS + 8, own: new Map(own) };
    guests.push(guest);
    await backUp(site, imageSource(guest));
    if ([0, 1, 11, 989, 999].includes(i)) marks.push({ at: i, costs: { ...costs }, requests: requests() });
  }
  const between = (a: number, b: number) => {
    const [from, to] = [a, b].map((at) => marks.find((mark) => mark.at === at));
    if (!from || !to) throw new Error('no such mark');
    const each = (b - a) as number;
    return {
      read: (to.costs.read - from.costs.read) / each,
      staged: (to.costs.staged - from.costs.staged) / each,
      stored: (to.costs.stored - from.costs.stored) / each,
      packs: (to.costs.packs - from.costs.packs) / each,
      create: (to.requests.create - from.requests.create) / each,
      get: (to.requests.get - from.requests.get) / each,
      list: (to.requests.list - from.requests.list) / each,
    };
  };
  const [first, early, late] = [marks[0]?.costs, between(1, 11), between(989, 999)];
  console.log('the image and the first server', first);
  console.log('each of servers 3-12', early, 'each of servers 991-1,000', late, 'all', costs, requests());
  expect(costs.read).toBe((SEGMENTS + SERVERS * 2) * SEGMENT_SIZE);
  expect(costs.packs).toBe(1 + SERVERS);
  expect(early).toMatchObject({ read: 2 * SEGMENT_SIZE, packs: 1 });
  expect(late).toMatchObject({ read: 2 * SEGMENT_SIZE, packs: 1 });
  expect(late.create).toBeLessThanOrEqual(early.create + 1);
  expect(late.get).toBeLessThanOrEqual(early.get + 2);
  expect(pointsOf(site, imageName(image.digest))).toHaveLength(1);
  expect(pointsOf(site, 'servers')).toHaveLength(SERVERS);
  for (const i of [0, 500, 999]) {
    const guest = guests[i] as ImageGuest;
    const point = pointsOf(site, 'servers')[i];
    expect((await restored(vault, point?.disks[0]?.manifest)).equals(contentOf(guest))).toBe(true);
  }
});

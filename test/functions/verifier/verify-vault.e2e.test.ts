import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newPack, packName } from '#vault/format/pack.ts';
import { readManifest, readPage, writeManifest, writePage } from '#vault/records.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { type ContentFolder, contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE } from '#vault/words.ts';
import type { VerifiedPoint } from '../../../functions/verifier/inventory.ts';
import { type VerifyRequest, verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { DAMAGES, flipped, KINDS, keysIn, replaceObject, spoil } from '../../damage.ts';
import {
  range,
  type StoredDisk,
  segmentsIn,
  storeDisk,
  withFolder,
} from '../../host-exporter/restore/restored-disk.ts';

const ENTRY = new URL('../../../functions/verifier/verify-worker.ts', import.meta.url);

function pointsOf({ point, manifest, size }: StoredDisk): VerifiedPoint[] {
  return [{ run: point.point.id, point: point.name, disks: [{ name: 'root', size, manifest }] }];
}

function verify(disk: StoredDisk, changes: Partial<VerifyRequest> = {}) {
  const { store, keyring } = disk.vault;
  return verifyVault({ store, keyring, journal: undefined, points: pointsOf(disk), threads: undefined, ...changes });
}

/** An object of that kind that the disk needs, and the disk's segments that hang on it. */
async function victim({ vault, manifest, point, size }: StoredDisk, folder: ContentFolder) {
  const all = range(0, Math.ceil(size / SEGMENT_SIZE));
  if (folder === Folder.points) return { key: contentKey(folder, point.name), segments: all };
  if (folder === Folder.manifests) return { key: contentKey(folder, manifest), segments: all };
  const page = (await readManifest(vault, manifest)).pages[1] ?? '';
  if (folder === Folder.pages) return { key: contentKey(folder, page), segments: all.slice(SEGMENTS_PER_PAGE) };
  const extents = await readPage(vault, page);
  const pack = extents[0]?.pack ?? '';
  const segments = extents
    .filter((extent) => extent.pack === pack)
    .flatMap(({ start, count }) => range(SEGMENTS_PER_PAGE + start, count));
  return { key: contentKey(folder, packName(pack)), segments };
}

describe('A vault that is whole', () => {
  it('has no findings, orphans or not, and everything in it was looked at', async () => {
    const disk = await storeDisk(openMemoryStore());
    const objects = (await Promise.all(KINDS.map((folder) => keysIn(disk.vault.store, folder)))).flat();
    const report = await verify(disk);
    expect(report).toMatchObject({ findings: [], objects: objects.length, points: 1 });
    expect(report.segments).toBe(2 * disk.contents.size);
  });

  it('is found whole by threads, with a key and without', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openFileStore(join(folder, 'vault')));
      const threads = { count: 2, entry: ENTRY };
      const [keyed, keyless] = [await verify(disk, { threads }), await verify(disk, { threads, keyring: undefined })];
      expect([keyed.findings, keyless.findings]).toEqual([[], []]);
      expect([keyless.objects, keyless.bytes]).toEqual([keyed.objects, keyed.bytes]);
      expect([keyed.segments > 0, keyless.segments]).toEqual([true, 0]);
    }));
});

describe.each(KINDS.filter((folder) => folder !== Folder.moves))('One object of %s', (folder) => {
  it.each(DAMAGES)('that is $name is found, with what hangs on it', async (damage) => {
    const disk = await storeDisk(openMemoryStore());
    const { key, segments } = await victim(disk, folder);
    await spoil(disk.vault.store, key, damage);
    const { findings } = await verify(disk);
    expect(findings.map(({ object }) => object)).toEqual([key]);
    const [finding] = findings;
    expect(finding?.affects.every(({ point, disk: name }) => point === disk.point.point.id && name === 'root')).toBe(
      true,
    );
    const affected = segmentsIn(finding?.affects ?? []);
    if (folder === Folder.packs) expect(segments).toEqual(expect.arrayContaining(affected));
    else expect(affected).toEqual(segments);
    expect(affected.length).toBeGreaterThan(0);
    expect(finding?.advice).toContain(disk.point.point.id);
  });

  it.each(DAMAGES.filter(({ name }) => name !== 'missing'))('that is $name is found without a key', async (damage) => {
    const disk = await storeDisk(openMemoryStore());
    const { key } = await victim(disk, folder);
    await spoil(disk.vault.store, key, damage);
    const { findings } = await verify(disk, { keyring: undefined });
    expect(findings).toMatchObject([{ object: key, problem: 'damaged', affects: [] }]);
  });
});

it('An object that goes on behind its end is found', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key } = await victim(disk, Folder.packs);
  const bytes = await disk.vault.store.get(key);
  await replaceObject(disk.vault.store, key, Buffer.concat([bytes, Buffer.alloc(1)]));
  const { findings } = await verify(disk);
  expect(findings).toMatchObject([{ object: key, problem: 'damaged', affects: [] }]);
});

it('An object that is larger than any can be is found without being read', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key } = await victim(disk, Folder.packs);
  const { store } = disk.vault;
  const lying = {
    ...store,
    async *list(folder: string) {
      for await (const object of store.list(folder)) yield object.key === key ? { key, size: 1024 ** 4 } : object;
    },
    get: async (asked: string, part?: { start: number; end: number }) => {
      if (asked === key) throw new Error('was read');
      return store.get(asked, part);
    },
  };
  const { findings } = await verify(disk, { store: lying });
  expect(findings).toMatchObject([{ object: key, problem: 'damaged' }]);
});

it('One flipped bit in a frame costs the segments of that frame', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key, segments } = await victim(disk, Folder.packs);
  const bytes = await disk.vault.store.get(key);
  await replaceObject(disk.vault.store, key, flipped(bytes, bytes.length - 1));
  const { findings } = await verify(disk);
  const affected = segmentsIn(findings[0]?.affects ?? []);
  expect(affected).toEqual(segments.slice(-affected.length));
  expect(affected.length).toBeLessThanOrEqual(4);
});

it('A segment that was stored under a wrong id is found, though every digest is right', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { vault } = disk;
  const pack = newPack(vault.keyring.newest, 1);
  pack.addFrame(Buffer.alloc(SEGMENT_SIZE, 1), [Buffer.alloc(32, 2)]);
  const { name, reference, pieces } = pack.finish();
  await vault.store.create(contentKey(Folder.packs, name), pieces);
  const page = await writePage(vault, [{ start: 7, count: 1, pack: reference, first: 0 }]);
  const manifest = await writeManifest(vault, { diskSize: disk.size, pages: [page, undefined] });
  const points = [{ run: 'liar', point: disk.point.name, disks: [{ name: 'vda', size: disk.size, manifest }] }];
  const { findings } = await verify(disk, { points });
  const affects = [{ point: 'liar', disk: 'vda', offset: 7 * SEGMENT_SIZE, length: SEGMENT_SIZE }];
  expect(findings).toMatchObject([{ object: contentKey(Folder.packs, name), problem: 'damaged', affects }]);
});

it.each([
  ['names more segments than its pack has', (pack: string) => ({ pack, first: 9, count: 8 })],
  [
    'means another pack of the same name',
    (pack: string) => ({ pack: pack.slice(0, 95) + (pack.endsWith('0') ? '1' : '0'), first: 0, count: 1 }),
  ],
])('A page that %s is found', async (_, extentOf) => {
  const disk = await storeDisk(openMemoryStore());
  const [extent] = await readPage(disk.vault, (await readManifest(disk.vault, disk.manifest)).pages[1] ?? '');
  const page = await writePage(disk.vault, [{ start: 3, ...extentOf(extent?.pack ?? '') }]);
  const manifest = await writeManifest(disk.vault, { diskSize: disk.size, pages: [page, undefined] });
  const points = [{ run: 'odd', point: disk.point.name, disks: [{ name: 'vda', size: disk.size, manifest }] }];
  const { findings } = await verify(disk, { points });
  expect(findings).toMatchObject([{ problem: 'damaged', affects: [{ point: 'odd', offset: 3 * SEGMENT_SIZE }] }]);
});

it('What several points share is found once and named for each of them', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key } = await victim(disk, Folder.pages);
  await disk.vault.store.remove([key]);
  const [point] = pointsOf(disk);
  if (point === undefined) throw new Error('no point');
  const { findings } = await verify(disk, { points: [point, { ...point, run: 'later' }] });
  expect(findings).toMatchObject([{ object: key, problem: 'object-missing' }]);
  expect(findings[0]?.affects.map(({ point: run }) => run)).toEqual([point.run, 'later']);
});

it('A damaged orphan is found, and said to cost nothing', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key } = await victim(disk, Folder.packs);
  const bytes = await disk.vault.store.get(key);
  await replaceObject(disk.vault.store, key, flipped(bytes, 20));
  const { findings } = await verify(disk, { points: [] });
  expect(findings).toMatchObject([{ object: key, affects: [], advice: expect.stringContaining('nothing is lost') }]);
});

it('A look at some shards reads their objects only, and finds a missing pack in its own shard', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key } = await victim(disk, Folder.packs);
  await disk.vault.store.remove([key]);
  const shard = Number.parseInt(key.split('/')[1] ?? '', 16);
  const others = Array.from({ length: 256 }, (_, at) => at).filter((at) => at !== shard);
  expect((await verify(disk, { shards: [shard] })).findings.map(({ object }) => object)).toEqual([key]);
  const rest = await verify(disk, { shards: others });
  expect(rest.findings).toEqual([]);
  const whole = await verify(disk);
  const own = await verify(disk, { shards: [shard] });
  expect(rest.objects + own.objects).toBe(whole.objects);
});

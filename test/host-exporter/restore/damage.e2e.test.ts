import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { openPackIndex, packName } from '#vault/format/pack.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { readManifest, readPage, readPoint } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENTS_PER_PAGE } from '#vault/words.ts';
import { DAMAGES, DISK_KINDS, spoil } from '../../damage.ts';
import { range, restored, type StoredDisk, segmentsIn, storeDisk, withFolder, wrongSegments } from './restored-disk.ts';

/** An object of that kind that the disk needs, and the disk's segments that lie in it. */
async function victim(disk: StoredDisk, folder: (typeof DISK_KINDS)[number]) {
  const { pages, diskSize } = await readManifest(disk.vault, disk.manifest);
  if (folder === Folder.manifests) return { key: contentKey(folder, disk.manifest), pack: undefined, segments: [] };
  const second = pages[1] ?? '';
  const inDisk = Math.ceil(diskSize / 65_536) - SEGMENTS_PER_PAGE;
  if (folder === Folder.pages) {
    return { key: contentKey(folder, second), pack: undefined, segments: range(SEGMENTS_PER_PAGE, inDisk) };
  }
  const extents = await readPage(disk.vault, second);
  const pack = extents[0]?.pack ?? '';
  const segments = extents
    .filter((extent) => extent.pack === pack)
    .flatMap((extent) => range(SEGMENTS_PER_PAGE + extent.start, extent.count));
  return { key: contentKey(folder, packName(pack)), pack, segments };
}

describe.each(DISK_KINDS)('One object of %s', (folder) => {
  it.each(DAMAGES)('that is $name makes the restore fail by its name', async (damage) => {
    const disk = await storeDisk(openMemoryStore());
    const { key } = await victim(disk, folder);
    await spoil(disk.vault.store, key, damage);
    await withFolder(async (place) => {
      const failure: unknown = await restored(disk, join(place, 'disk')).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(['object-missing', 'damaged', 'bad-format', 'wrong-key']).toContain(codeOf(failure));
      expect(String(failure)).toContain(key);
      if (folder !== Folder.manifests) expect(String(failure)).toMatch(/Bytes \d+ to \d+ of the disk/);
    });
  });
});

describe.each([Folder.packs, Folder.pages] as const)('Best effort, one object of %s', (folder) => {
  it.each(DAMAGES)('that is $name costs exactly what is listed', async (damage) => {
    const disk = await storeDisk(openMemoryStore());
    const { key, segments } = await victim(disk, folder);
    await spoil(disk.vault.store, key, damage);
    await withFolder(async (place) => {
      const path = join(place, 'disk');
      const { unreadable } = await restored(disk, path, { bestEffort: true });
      const lost = segmentsIn(unreadable);
      expect(unreadable.length).toBeGreaterThan(0);
      expect(unreadable.every(({ object, reason }) => object === key && reason.length > 0)).toBe(true);
      expect(segments).toEqual(expect.arrayContaining(lost));
      expect(lost.filter((segment) => disk.contents.has(segment))).toEqual(await wrongSegments(disk, path));
    });
  });
});

it('loses no more than one frame to one flipped bit in it, with best effort', async () => {
  const disk = await storeDisk(openMemoryStore());
  const { key, pack, segments } = await victim(disk, Folder.packs);
  const index = openPackIndex(disk.vault.keyring, await disk.vault.store.get(key), key, pack);
  const frame = index.frames[1];
  if (frame === undefined) throw new Error('the pack has one frame only');
  const flip = (bytes: Buffer) => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(frame.offset + 7) ^ 1, frame.offset + 7);
    return copy;
  };
  await spoil(disk.vault.store, key, { name: 'flipped in a frame', spoil: flip });
  await withFolder(async (place) => {
    const { unreadable } = await restored(disk, join(place, 'disk'), { bestEffort: true });
    const end = frame.firstSegment + frame.segments;
    expect(segmentsIn(unreadable)).toEqual(segments.slice(frame.firstSegment, end));
  });
});

it.each(DAMAGES)('A point that is $name is refused by its name', async (damage) => {
  const { vault, point } = await storeDisk(openMemoryStore());
  const key = contentKey(Folder.points, point.name);
  expect(await readPoint(vault, point.name)).toEqual(JSON.parse(JSON.stringify(point.point)));
  await spoil(vault.store, key, damage);
  await expect(readPoint(vault, point.name)).rejects.toThrow(key);
});

it('A key of another vault opens nothing', async () => {
  const disk = await storeDisk(openMemoryStore());
  const keyring = keyringOf([deriveEpochKeys(Buffer.alloc(32, 7), 'f'.repeat(32), 1)]);
  const stranger = { ...disk, vault: { ...disk.vault, keyring } };
  await withFolder(async (place) => {
    await expect(restored(stranger, join(place, 'disk'))).rejects.toMatchObject({ code: 'damaged' });
  });
});

it('A key epoch that is not held is named', async () => {
  const disk = await storeDisk(openMemoryStore());
  const keyring = keyringOf([{ ...disk.vault.keyring.newest, epoch: 2 }]);
  const stranger = { ...disk, vault: { ...disk.vault, keyring } };
  await withFolder(async (place) => {
    await expect(restored(stranger, join(place, 'disk'))).rejects.toMatchObject({ code: 'wrong-key' });
  });
});

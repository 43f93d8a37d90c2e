import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { spansOf } from '../../../functions/restorer/data-spans.ts';
import { openDiskImage } from '../../../functions/restorer/disk-image.ts';
import { imageOf, randomDisk } from '../../random-disk.ts';
import { newTestVault } from '../../vault-builder.ts';
import { guestView } from './guest-view.ts';
import { randomMap } from './random-map.ts';

const forever = new AbortController().signal;

async function taken(content: AsyncGenerator<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(content));
}

describe('the image of a disk', () => {
  test('is the disk, however its segments were packed, and of the length that was said before', async () => {
    await fc.assert(
      fc.asyncProperty(randomDisk(), async (random) => {
        const vault = newTestVault(openMemoryStore());
        const disk = imageOf(random);
        const manifest = await vault.writeDisk({ size: disk.length, segments: random.order(disk) }, random.layout);
        const image = await openDiskImage({ reader: vault, manifest, threads: undefined });
        const qcow2 = await taken(image.content(forever));
        expect(qcow2.length).toBe(image.length);
        const seen = guestView(qcow2);
        expect(seen.subarray(0, disk.length).equals(disk)).toBe(true);
        expect(seen.subarray(disk.length).every((byte) => byte === 0)).toBe(true);
        expect(seen.length).toBe(Math.ceil(disk.length / 512) * 512);
      }),
      { numRuns: 60 },
    );
  });

  test('of a disk of 1 TiB with one segment of data is small, and so is what is read for it', async () => {
    const store = openCountedStore(openMemoryStore());
    const vault = newTestVault(store);
    const segments = [{ start: 9_000_000, bytes: Buffer.alloc(SEGMENT_SIZE, 7) }];
    const manifest = await vault.writeDisk({ size: 1024 ** 4, segments });
    store.reset();
    const image = await openDiskImage({ reader: vault, manifest, threads: undefined });
    const qcow2 = await taken(image.content(forever));
    expect(qcow2.length).toBe(6 * SEGMENT_SIZE);
    expect(qcow2.subarray(-SEGMENT_SIZE).every((byte) => byte === 7)).toBe(true);
    expect(store.requests()).toBeLessThan(7);
  });

  test('breaks off at a damaged segment and names the bytes of the disk', async () => {
    const store = openMemoryStore();
    const vault = newTestVault(store);
    const manifest = await vault.writeDisk({
      size: 3 * SEGMENT_SIZE,
      segments: [{ start: 1, bytes: Buffer.alloc(SEGMENT_SIZE, 7) }],
    });
    const keys = await Array.fromAsync(store.list(Folder.packs));
    const name = keys[0]?.key.split('/').at(-1) ?? '';
    const bytes = Buffer.from(await store.get(contentKey(Folder.packs, name)));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20);
    await store.remove([contentKey(Folder.packs, name)]);
    await store.create(contentKey(Folder.packs, name), [bytes]);
    const image = await openDiskImage({ reader: vault, manifest, threads: undefined });
    await expect(taken(image.content(forever))).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('Bytes 65536 to 131071 of the disk'),
    });
  });

  test('ends with the reason of the signal', async () => {
    const vault = newTestVault(openMemoryStore());
    const manifest = await vault.writeDisk({
      size: SEGMENT_SIZE,
      segments: [{ start: 0, bytes: Buffer.alloc(SEGMENT_SIZE, 7) }],
    });
    const image = await openDiskImage({ reader: vault, manifest, threads: undefined });
    await expect(taken(image.content(AbortSignal.abort(new Error('enough'))))).rejects.toThrow('enough');
  });
});

test('spans hold all data once, in order, begin and end with data, and have at most 8 MiB of it', () => {
  fc.assert(
    fc.property(randomMap(5000), (map) => {
      let end = 0;
      let sum = 0;
      for (const { first, count, dataSegments } of spansOf(map)) {
        expect(first).toBeGreaterThanOrEqual(end);
        for (let segment = end; segment < first; segment++) expect(map.has(segment)).toBe(false);
        let found = 0;
        for (let segment = first; segment < first + count; segment++) if (map.has(segment)) found++;
        expect([map.has(first), map.has(first + count - 1), found]).toEqual([true, true, dataSegments]);
        expect(dataSegments).toBeLessThanOrEqual(128);
        end = first + count;
        sum += dataSegments;
      }
      expect(sum).toBe(map.dataSegments);
    }),
    { numRuns: 50 },
  );
});

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { EkkoError } from '#vault/errors.ts';
import type { Extent } from '#vault/format/extents.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import { newPack } from '#vault/format/pack.ts';
import { readManifest, readPage, type VaultReader, writePage } from '#vault/records.ts';
import { type DiskPiece, type DiskReader, openDiskReader } from '#vault/restore/read-disk.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { ByteRange } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE, type SegmentRun, segmentsOf } from '#vault/words.ts';
import { imageOf, type RandomDisk, randomDisk } from '../../../random-disk.ts';
import { FULL_LAYOUT, newTestVault, segmentsOfImage } from '../../../vault-builder.ts';

const STRICT = { bestEffort: false };

async function piecesOf(reader: DiskReader, manifest: Manifest, run: SegmentRun): Promise<DiskPiece[]> {
  const pieces: DiskPiece[] = [];
  for await (const piece of reader.read(manifest, run)) pieces.push(piece);
  return pieces;
}

/** The pieces put together; throws where they leave a gap or overlap. */
function joined(pieces: readonly DiskPiece[], offset: number): Buffer {
  let at = offset;
  for (const piece of pieces) {
    if (piece.offset !== at) throw new Error(`a piece begins at ${piece.offset}, expected ${at}`);
    at += piece.length;
  }
  return Buffer.concat(pieces.map((piece) => (piece.kind === 'data' ? piece.bytes : Buffer.alloc(piece.length))));
}

async function written(disk: RandomDisk) {
  const vault = newTestVault(openCountedStore(openMemoryStore()));
  const image = imageOf(disk);
  const name = await vault.writeDisk({ size: image.length, segments: disk.order(image) }, disk.layout);
  return { vault, image, manifest: await readManifest(vault, name) };
}

describe('Reading a disk', () => {
  it('gives back any disk, however its segments were packed', async () => {
    await fc.assert(
      fc.asyncProperty(randomDisk(), async (disk) => {
        const { vault, image, manifest } = await written(disk);
        const pieces = await piecesOf(openDiskReader(vault, STRICT), manifest, {
          first: 0,
          count: segmentsOf(image.length),
        });
        expect(joined(pieces, 0).equals(image)).toBe(true);
        expect(
          pieces.every(
            (piece) => (piece.kind !== 'unreadable' && piece.length <= 1024 * 1024) || piece.kind === 'zero',
          ),
        ).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('gives back any run of its segments', async () => {
    await fc.assert(
      fc.asyncProperty(randomDisk(), fc.nat(), fc.nat(), async (disk, a, b) => {
        const { vault, image, manifest } = await written(disk);
        const segments = segmentsOf(image.length);
        const [first, end] = [a % segments, (b % segments) + 1].toSorted((x, y) => x - y) as [number, number];
        const reader = openDiskReader(vault, { bestEffort: false });
        const pieces = await piecesOf(reader, manifest, { first, count: end - first });
        expect(
          joined(pieces, first * SEGMENT_SIZE).equals(image.subarray(first * SEGMENT_SIZE, end * SEGMENT_SIZE)),
        ).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('reads a whole pack with two requests', async () => {
    const store = openCountedStore(openMemoryStore());
    const vault = newTestVault(store);
    const image = Buffer.alloc(300 * SEGMENT_SIZE, 'ekko');
    for (let i = 0; i < 300; i++) image.writeUInt32LE(i, i * SEGMENT_SIZE);
    const name = await vault.writeDisk({ size: image.length, segments: segmentsOfImage(image) }, FULL_LAYOUT);
    const manifest = await readManifest(vault, name);
    store.reset();
    await piecesOf(openDiskReader(vault, STRICT), manifest, { first: 0, count: 300 });
    expect(store.requests('get', 'packs')).toBe(2);
    expect(store.requests('get', 'pages')).toBe(1);
  });

  it('does not read ahead of a page of zeros', async () => {
    const store = openCountedStore(openMemoryStore());
    const vault = newTestVault(store);
    const size = 1024 ** 4;
    const name = await vault.writeDisk({
      size,
      segments: [{ start: 9_000_000, bytes: Buffer.alloc(SEGMENT_SIZE, 1) }],
    });
    const manifest = await readManifest(vault, name);
    store.reset();
    const pieces = await piecesOf(openDiskReader(vault, STRICT), manifest, { first: 0, count: segmentsOf(size) });
    expect(pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(size);
    expect(pieces.filter((piece) => piece.kind === 'data').map((piece) => piece.offset)).toEqual([
      9_000_000 * SEGMENT_SIZE,
    ]);
    expect(store.requests()).toBeLessThan(5);
  });

  it('fetches what it needs of a pack, and reads over narrow gaps but not over wide ones', async () => {
    const { vault, store, manifest } = await storedNoise(64);
    const page = [...rangesOf(0, 64, 3), ...rangesOf(40, 64, 64)].map((start, i) => ({
      start: i,
      count: 1,
      first: start,
    }));
    const sparse = await resegmented(vault, manifest, page);
    store.reset();
    await piecesOf(openDiskReader(vault, STRICT), sparse, { first: 0, count: page.length });
    expect(store.requests('get', 'packs')).toBe(2);

    const far = await resegmented(
      vault,
      manifest,
      [0, 20, 40, 60].map((first, start) => ({ start, count: 1, first })),
    );
    store.reset();
    await piecesOf(openDiskReader(vault, STRICT), far, { first: 0, count: 4 });
    expect(store.requests('get', 'packs')).toBe(5);
  });

  it('fetches and opens a frame once, however often the disk repeats it', async () => {
    const { vault, store, manifest } = await storedNoise(4);
    const repeated = await resegmented(
      vault,
      manifest,
      rangesOf(0, 400, 1).map((start) => ({ start, count: 1, first: start % 4 })),
    );
    store.reset();
    const pieces = await piecesOf(openDiskReader(vault, STRICT), repeated, { first: 0, count: 400 });
    expect(store.requests('get', 'packs')).toBe(2);
    expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(400 * SEGMENT_SIZE);
  });

  it('gives memory back when a piece has had its last use, and not before', async () => {
    const { vault, manifest } = await storedNoise(200);
    const reader = openDiskReader(vault, STRICT);
    const [kept, done]: DiskPiece[] = await piecesOf(reader, manifest, { first: 0, count: 200 });
    if (kept?.kind !== 'data' || done?.kind !== 'data') throw new Error('no data');
    done.done();
    expect([kept.bytes.length, done.bytes.length]).toEqual([kept.length, 0]);
  });

  it('tries the frames of a range one by one when the range cannot be read', async () => {
    const { vault, store, manifest } = await storedNoise(64);
    const broken = { ...store, get: (key: string, part?: ByteRange) => failing(key, part) };
    const failing = (key: string, part?: ByteRange) =>
      key.startsWith('packs/') && part !== undefined && part.start > 0 && part.start < BAD_BYTE && part.end > BAD_BYTE
        ? Promise.reject(new EkkoError('store-failed', `Cannot read ${key}: EIO.`))
        : store.get(key, part);
    const reader = openDiskReader({ ...vault, store: broken }, { bestEffort: true });
    const pieces = await piecesOf(reader, manifest, { first: 0, count: 64 });
    const lost = pieces.filter((piece) => piece.kind === 'unreadable');
    expect(lost.map(({ length }) => length)).toEqual([SEGMENT_SIZE]);
  });

  it('does not leave out what a page names but its pack does not have', async () => {
    const { vault, manifest } = await storedNoise(4);
    const beyond = await resegmented(vault, manifest, [{ start: 0, count: 9, first: 0 }]);
    const whole = { ...beyond, diskSize: 9 * SEGMENT_SIZE };
    const read = (bestEffort: boolean) =>
      piecesOf(openDiskReader(vault, { bestEffort }), whole, { first: 0, count: 9 });
    await expect(read(false)).rejects.toMatchObject({ code: 'damaged' });
    expect(joined(await read(true), 0).length).toBe(9 * SEGMENT_SIZE);
  });

  it('does not give out a segment that was stored under a wrong id', async () => {
    const vault = newTestVault(openMemoryStore());
    const pack = newPack(vault.keyring.newest, 1);
    const right = Buffer.alloc(SEGMENT_SIZE, 1);
    const ids = [segmentId(vault.keyring.newest, right), Buffer.alloc(32, 2), segmentId(vault.keyring.newest, right)];
    pack.addFrame(Buffer.concat([right, right, right]), ids);
    const { name, reference, pieces } = pack.finish();
    await vault.store.create(contentKey(Folder.packs, name), pieces);
    const page = await writePage(vault, [{ start: 0, count: 3, pack: reference, first: 0 }]);
    const manifest = { diskSize: 3 * SEGMENT_SIZE, pages: [page] };
    const read = (bestEffort: boolean) =>
      piecesOf(openDiskReader(vault, { bestEffort }), manifest, { first: 0, count: 3 });
    await expect(read(false)).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining(name) });
    expect((await read(true)).map(({ kind }) => kind)).toEqual(['data', 'unreadable', 'data']);
  });
});

/** Some byte in the middle of a pack of noise. */
const BAD_BYTE = 30 * SEGMENT_SIZE;

/** A disk of segments that do not compress, one a frame, all in one pack. */
async function storedNoise(count: number) {
  const store = openCountedStore(openMemoryStore());
  const vault = newTestVault(store);
  const image = randomBytes(count * SEGMENT_SIZE);
  const layout = { ...FULL_LAYOUT, segmentsPerFrame: () => 1 };
  const name = await vault.writeDisk({ size: image.length, segments: segmentsOfImage(image) }, layout);
  return { vault, store, manifest: await readManifest(vault, name) };
}

/** A disk that is made of the segments of another one's first pack. */
async function resegmented(
  vault: VaultReader,
  manifest: Manifest,
  extents: readonly Omit<Extent, 'pack'>[],
): Promise<Manifest> {
  const [first] = await readPage(vault, manifest.pages[0] ?? '');
  const page = await writePage(
    vault,
    extents.map((extent) => ({ ...extent, pack: first?.pack })),
  );
  return { diskSize: extents.length * SEGMENT_SIZE, pages: [page] };
}

function rangesOf(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);
}

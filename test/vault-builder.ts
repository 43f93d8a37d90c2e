import { randomBytes } from 'node:crypto';
import { isZero, segmentId } from '#vault/dedupe/segment-id.ts';
import { appendExtent, type Extent } from '#vault/format/extents.ts';
import { pagesOf } from '#vault/format/manifest.ts';
import { newPack } from '#vault/format/pack.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { type VaultReader, writeManifest, writePage, writePoint } from '#vault/records.ts';
import { contentKey, Folder, newRunId } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME, SEGMENTS_PER_PAGE, SEGMENTS_PER_PART } from '#vault/words.ts';

/** One segment of a disk, SEGMENT_SIZE bytes. */
export interface TestSegment {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export interface TestDisk {
  readonly size: number;
  /** In any order, each at most once; what is missing is zero. */
  readonly segments: AsyncIterable<TestSegment> | Iterable<TestSegment>;
}

/** How segments are laid out: asked anew for each frame and pack. */
export interface Layout {
  readonly segmentsPerFrame: () => number;
  readonly segmentsPerPack: () => number;
  /** Whether known content is referred to instead of being stored again. */
  readonly dedupe: boolean;
}

export const FULL_LAYOUT: Layout = {
  segmentsPerFrame: () => SEGMENTS_PER_FRAME,
  segmentsPerPack: () => SEGMENTS_PER_PART,
  dedupe: true,
};

/** Writes what lies in a vault with the format's own writers, without journal, parts or functions. */
export interface TestVault extends VaultReader {
  /** Writes packs and pages; returns the manifest's name. */
  writeDisk(disk: TestDisk, layout?: Layout): Promise<string>;
  /** Writes a point over disks that were written; returns its name and body. */
  writePoint(disks: ReadonlyMap<string, { readonly manifest: string; readonly size: number }>): Promise<WrittenPoint>;
}

export interface WrittenPoint {
  readonly name: string;
  readonly point: RestorePoint;
}

export function newTestVault(store: ObjectStore): TestVault {
  const keys = deriveEpochKeys(randomBytes(32), randomBytes(16).toString('hex'), 1);
  const reader = { store, keyring: keyringOf([keys]) };
  const known = new Map<string, { pack: string; first: number }>();

  async function writeDisk({ size, segments }: TestDisk, layout = FULL_LAYOUT): Promise<string> {
    const extents: Extent[] = [];
    let pack = newDraft();
    for await (const { start, bytes } of segments) {
      if (isZero(bytes)) continue;
      const id = segmentId(keys, bytes);
      const found = layout.dedupe ? known.get(id.toString('hex')) : undefined;
      if (found) extents.push({ start, count: 1, ...found });
      else pack.add(start, bytes, id);
      if (pack.full) {
        extents.push(...(await pack.finish()));
        pack = newDraft();
      }
    }
    extents.push(...(await pack.finish()));
    return writeMap(size, extents);

    function newDraft() {
      const writer = newPack(keys, 1);
      const most = layout.segmentsPerPack();
      const placed: { start: number; id: Buffer }[] = [];
      let waiting: { bytes: Uint8Array; id: Buffer }[] = [];
      let inFrame = layout.segmentsPerFrame();
      const closeFrame = () => {
        if (waiting.length === 0) return;
        writer.addFrame(
          Buffer.concat(waiting.map(({ bytes }) => bytes)),
          waiting.map(({ id }) => id),
        );
        waiting = [];
        inFrame = layout.segmentsPerFrame();
      };
      return {
        get full() {
          return placed.length >= most;
        },
        add(start: number, bytes: Uint8Array, id: Buffer) {
          placed.push({ start, id });
          waiting.push({ bytes, id });
          if (waiting.length >= inFrame) closeFrame();
        },
        async finish(): Promise<Extent[]> {
          if (placed.length === 0) return [];
          closeFrame();
          const { name, reference, pieces } = writer.finish();
          await store.create(contentKey(Folder.packs, name), pieces, { durable: false });
          for (const [first, { id }] of placed.entries()) known.set(id.toString('hex'), { pack: reference, first });
          return placed.map(({ start }, first) => ({ start, count: 1, pack: reference, first }));
        },
      };
    }
  }

  async function writeMap(diskSize: number, extents: readonly Extent[]): Promise<string> {
    const byPage = new Map<number, Extent[]>();
    for (const extent of extents.toSorted((a, b) => a.start - b.start)) {
      const number = Math.floor(extent.start / SEGMENTS_PER_PAGE);
      const page = byPage.get(number) ?? [];
      byPage.set(number, page);
      appendExtent(page, { ...extent, start: extent.start - number * SEGMENTS_PER_PAGE });
    }
    const pages: (string | undefined)[] = [];
    for (let number = 0; number < pagesOf(diskSize); number++) {
      const page = byPage.get(number);
      pages.push(page === undefined ? undefined : await writePage(reader, page));
    }
    return writeManifest(reader, { diskSize, pages });
  }

  return {
    ...reader,
    writeDisk,
    async writePoint(disks) {
      const point = pointOf(disks);
      return { name: await writePoint(reader, point), point };
    },
  };
}

function pointOf(disks: Parameters<TestVault['writePoint']>[0]): RestorePoint {
  const takenAt = new Date().toISOString();
  return {
    id: newRunId(new Date(), randomBytes(3)),
    group: 'test',
    takenAt,
    disks: [...disks].map(([name, { manifest, size }]) => ({
      name,
      manifest,
      diskSize: size,
      base: undefined,
      fullReason: 'first-backup',
      origin: name,
      takenAt,
      consistency: 'crash',
      consistencyNote: '',
      frozenMs: 0,
      assurance: { auditedSegments: 0, auditFailures: 0 },
      changedBytes: 0,
      newBytes: 0,
      storedBytes: 0,
    })),
  };
}

/** The segments of an image in memory; a short last one is padded. */
export function* segmentsOfImage(image: Buffer): Generator<TestSegment> {
  for (let start = 0; start * SEGMENT_SIZE < image.length; start++) {
    const bytes = Buffer.alloc(SEGMENT_SIZE);
    image.copy(bytes, 0, start * SEGMENT_SIZE);
    yield { start, bytes };
  }
}

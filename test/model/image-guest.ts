import { writeFile } from 'node:fs/promises';
import { newImageDigest } from '#vault/images.ts';
import type { BaseImage, ChangedBlockSource, DiskPlan } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';

/** A base image as a file, and its content by segment. */
export interface ModelImage extends BaseImage {
  readonly contents: readonly Buffer[];
}

/** A disk that was built on an image: what it holds itself, by segment. */
export interface ImageGuest {
  readonly name: string;
  readonly image: ModelImage;
  /** Segments; not fewer than the image has. */
  readonly segments: number;
  readonly own: Map<number, Buffer>;
}

/** Segment `n` of the image called `name` says so, over and over. */
export async function writeImage(path: string, name: string, segments: number): Promise<ModelImage> {
  const contents = Array.from({ length: segments }, (_, n) => segmentOf(`${name} ${n} `));
  await writeFile(path, Buffer.concat(contents));
  const sum = newImageDigest(segments * SEGMENT_SIZE);
  for (const [n, bytes] of contents.entries()) sum.add(n, bytes);
  return { path, format: 'raw', size: segments * SEGMENT_SIZE, digest: sum.finish(), contents };
}

export function segmentOf(text: string): Buffer {
  return Buffer.alloc(SEGMENT_SIZE, text);
}

/** The disk as its guest sees it. */
export function contentOf({ image, segments, own }: ImageGuest): Buffer {
  const zero = Buffer.alloc(SEGMENT_SIZE);
  return Buffer.concat(Array.from({ length: segments }, (_, n) => own.get(n) ?? image.contents[n] ?? zero));
}

/** Backs up like a guest of QEMU's without a bitmap. `lie`: the exporter says that its file is another image. */
export function imageSource(guest: ImageGuest, lie?: string): ChangedBlockSource {
  const { name, image, segments, own } = guest;
  const disk = { name, size: segments * SEGMENT_SIZE, origin: 'model' };
  const digest = lie ?? image.digest;
  return {
    disks: async () => [disk],
    images: async () => [{ ...image, digest }],
    async take({ image: known, readAll, auditShare }) {
      const base = readAll === undefined ? known?.(digest) : undefined;
      const content = contentOf(guest);
      const held = [...own.keys()].sort((a, b) => a - b);
      const all: SegmentRun[] = [{ first: 0, count: segments }];
      const clean = image.contents.map((_, n) => n).filter((n) => !own.has(n));
      const plan: DiskPlan = {
        ...{ disk, fullReason: 'first-backup', zero: [] },
        ...(base === undefined ? { base: undefined } : { base: base.point, baseDisk: base.name }),
        data: base === undefined ? all : held.map((first) => ({ first, count: 1 })),
        audit: base !== undefined && auditShare > 0 ? clean.map((first) => ({ first, count: 1 })) : [],
      };
      return {
        ...{ plans: [plan], takenAt: new Date(), consistency: 'crash', consistencyNote: 'a model', frozenMs: 0 },
        async read(_index, offset, length, into) {
          into.fill(0);
          content.copy(into, 0, offset, offset + length);
        },
        end: async () => undefined,
      };
    },
    close: async () => undefined,
  };
}

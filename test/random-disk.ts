import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type Layout, segmentsOfImage, type TestSegment } from './vault-builder.ts';

/** A small disk and a way to lay it out in a vault. */
export interface RandomDisk {
  /** Per segment: 0 is zero, equal numbers are equal content. */
  readonly contents: readonly number[];
  /** Bytes that the last segment lacks. */
  readonly missing: number;
  readonly layout: Layout;
  /** The image's segments in the order in which they are packed. */
  order(image: Buffer): TestSegment[];
}

/** Disks of up to 80 segments with repeated, zero, compressible and random content, in random frames, packs and orders. */
export function randomDisk(): fc.Arbitrary<RandomDisk> {
  return fc
    .record({
      contents: fc.array(
        fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 100_000 })),
        {
          minLength: 1,
          maxLength: 80,
        },
      ),
      missing: fc.nat({ max: SEGMENT_SIZE - 1 }),
      frame: fc.integer({ min: 1, max: 16 }),
      pack: fc.integer({ min: 1, max: 40 }),
      dedupe: fc.boolean(),
      stride: fc.constantFrom(1, 1, 7, 13),
    })
    .map(({ contents, missing, frame, pack, dedupe, stride }) => ({
      contents,
      missing,
      layout: { segmentsPerFrame: cycle(1, frame), segmentsPerPack: cycle(1, pack), dedupe },
      order: (image) => inStrides([...segmentsOfImage(image)], stride),
    }));
}

/** The disk's bytes: odd contents compress, even ones do not. */
export function imageOf({ contents, missing }: RandomDisk): Buffer {
  const image = Buffer.alloc(contents.length * SEGMENT_SIZE);
  contents.forEach((content, i) => {
    if (content !== 0) fill(image.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE), content);
  });
  return image.subarray(0, image.length - missing);
}

function fill(segment: Buffer, content: number): void {
  if (content % 2 === 1) {
    segment.fill(`content ${content} `);
    return;
  }
  const key = Buffer.alloc(16);
  key.writeUInt32LE(content);
  createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(segment).copy(segment);
}

function cycle(from: number, to: number): () => number {
  let n = to;
  return () => {
    n = n >= to ? from : n + 1;
    return to - n + from;
  };
}

function inStrides<T>(items: readonly T[], stride: number): T[] {
  return Array.from({ length: stride }, (_, lane) => items.filter((_, i) => i % stride === lane)).flat();
}

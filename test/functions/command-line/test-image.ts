import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SEGMENT_SIZE } from '#vault/words.ts';

export interface ImageShape {
  /** Bytes; need not be whole segments. */
  readonly size: number;
  /** Segments that hold random bytes; all others are holes. */
  readonly segments: readonly number[];
}

/** Writes a sparse image file. */
export async function writeImage(path: string, { size, segments }: ImageShape): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(size);
    for (const segment of segments) {
      const offset = segment * SEGMENT_SIZE;
      await file.write(randomBytes(Math.min(SEGMENT_SIZE, size - offset)), 0, undefined, offset);
    }
  } finally {
    await file.close();
  }
}

/** Segment numbers from `first` on. */
export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => first + at);
}

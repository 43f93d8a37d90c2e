import { pickDistinct } from '#vault/staging/segment-runs.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';

/** 4 GiB: one question to QEMU. */
const STRETCH = (4 * 1024 ** 3) / SEGMENT_SIZE;
const STRETCHES = 8;

/**
 * Where a bitmap audit looks for clean segments: all of a disk of up to 32 GiB, and as much of a larger one, at random places. Each
 * segment is as likely as any other, and what finding them costs does not grow with the disk. `random` gives 0 to 1.
 */
export function auditStretches(segments: number, random: () => number): readonly SegmentRun[] {
  if (segments <= STRETCH * STRETCHES) return [{ first: 0, count: segments }];
  const places = pickDistinct(Math.ceil(segments / STRETCH), STRETCHES, random);
  return places.map((place) => ({
    first: place * STRETCH,
    count: Math.min(STRETCH, segments - place * STRETCH),
  }));
}

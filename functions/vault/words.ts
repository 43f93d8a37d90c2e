/** The sizes that the format fixes, and the words that every folder uses. Sizes and offsets are bytes unless the name says otherwise. */

/** Aligned section of a disk, the unit of dedupe: QEMU's default bitmap granularity and qcow2's cluster size. */
export const SEGMENT_SIZE = 65_536;
/** A frame is the unit of compression: up to this many consecutive new segments. */
export const SEGMENTS_PER_FRAME = 16;
/** 1 MiB. */
export const FRAME_SIZE = SEGMENT_SIZE * SEGMENTS_PER_FRAME;
/** A page maps one fixed span of a disk: 1 GiB. */
export const SEGMENTS_PER_PAGE = 16_384;
export const PAGE_SPAN = SEGMENTS_PER_PAGE * SEGMENT_SIZE;
/** A staged part carries at most 64 MiB of data, and so does the pack made of it. */
export const SEGMENTS_PER_PART = 1024;
/** 64 TiB: bounds what an untrusted size can make us do. */
export const LARGEST_DISK = 64 * 1024 ** 4;

/** How many segments a disk has; the last one may be short and is padded with zeros. */
export function segmentsOf(diskSize: number): number {
  return Math.ceil(diskSize / SEGMENT_SIZE);
}

/** A run of segments of a disk: `first` segment number, `count` of them. */
export interface SegmentRun {
  readonly first: number;
  readonly count: number;
}

/** How long an expired restore point can be brought back, unless somebody says otherwise: 7 days. Policy only; safety knows no clock. */
export const GRACE_HOURS = 168;

/**
 * How what lasts in a vault is locked by its store (S3 Object Lock): each object for `days` (perhaps a fraction) from its making, and again
 * for as long as it is needed. `governance`: who has the right to bypass it can lift it. `compliance`: nobody can, whoever asks.
 */
export interface VaultLock {
  readonly mode: LockMode;
  readonly days: number;
}
export type LockMode = (typeof LOCK_MODES)[number];
export const LOCK_MODES = ['governance', 'compliance'] as const;
/** A compliance lock cannot be taken back: longer ones are taken for a mistake. */
export const MOST_LOCK_DAYS = 3650;

const DAY_MS = 86_400_000;

/** How long an object is locked when it is made. */
export function lockMs({ days }: VaultLock): number {
  return days * DAY_MS;
}

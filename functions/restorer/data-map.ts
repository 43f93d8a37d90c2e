import type { Manifest } from '#vault/format/manifest.ts';
import type { VaultReader } from '#vault/records.ts';
import { openDiskMap } from '#vault/restore/span-extents.ts';
import { type SegmentRun, segmentsOf } from '#vault/words.ts';

/** Which segments of a disk hold data, in one bit each: 2 MiB for a disk of 1 TiB, whatever is on it. */
export interface DataMap {
  /** Bytes. */
  readonly diskSize: number;
  readonly dataSegments: number;
  has(segment: number): boolean;
  /** Whether any segment of the run has data. It begins and ends at multiples of 8, has at most `MAP_BLOCK` segments, and may go beyond the disk. */
  hasAny(run: SegmentRun): boolean;
}

/** Segments that are asked about at once. */
export const MAP_BLOCK = 8192;
const ZEROS = Buffer.alloc(MAP_BLOCK / 8);

/** Reads the disk's pages. Throws what a page that cannot be read throws. */
export async function readDataMap(reader: VaultReader, manifest: Manifest): Promise<DataMap> {
  const draft = newDataMap(manifest.diskSize);
  const map = openDiskMap(reader);
  for await (const run of map(manifest, { first: 0, count: segmentsOf(manifest.diskSize) })) {
    if (run.kind === 'lost') throw run.error;
    if (run.kind === 'packed') draft.add({ first: run.start, count: run.count });
  }
  return draft;
}

/** A map to which data is added, each segment once. */
export function newDataMap(diskSize: number): DataMap & { add(run: SegmentRun): void } {
  const bits = Buffer.alloc(Math.ceil(segmentsOf(diskSize) / 8));
  let dataSegments = 0;
  return {
    diskSize,
    get dataSegments() {
      return dataSegments;
    },
    has: (segment) => ((bits[segment >> 3] ?? 0) & (1 << (segment & 7))) !== 0,
    hasAny({ first, count }) {
      const part = bits.subarray(first >> 3, (first + count) >> 3);
      return !part.equals(ZEROS.subarray(0, part.length));
    },
    add({ first, count }) {
      for (let segment = first; segment < first + count; segment++)
        bits[segment >> 3] = (bits[segment >> 3] ?? 0) | (1 << (segment & 7));
      dataSegments += count;
    },
  };
}

import { SEGMENTS_PER_PART, segmentsOf } from '../words.ts';
import { ByteReader, u32Bytes, u64Bytes } from './bytes.ts';
import { decodeExtents, type Extent, encodeExtents } from './extents.ts';
import { checkDiskSize } from './manifest.ts';

/** What a staged part became (`docs/format.md`, "Receipts"). */
export interface Receipt {
  readonly diskSize: number;
  readonly stats: ReceiptStats;
  /** Where each segment of the part now lies; numbered in the disk. */
  readonly extents: readonly Extent[];
}

export interface ReceiptStats {
  /** Segments of data that the part carried or left out. */
  readonly dataSegments: number;
  /** Segments that the vault did not have. */
  readonly newSegments: number;
  /** Bytes of packs that the part added. */
  readonly storedBytes: number;
  /** Segments read only to check the bitmap, and how many of them had changed all the same. */
  readonly auditedSegments: number;
  readonly auditFailures: number;
}

/** A part has at most this many runs: each data segment on its own, and zero runs between them. */
export const RUNS_PER_PART = 4 * SEGMENTS_PER_PART;

export function encodeReceipt({ diskSize, stats, extents }: Receipt): Buffer {
  const counts = [stats.dataSegments, stats.newSegments, stats.auditedSegments, stats.auditFailures];
  return Buffer.concat([u64Bytes(diskSize), u64Bytes(stats.storedBytes), u32Bytes(counts), encodeExtents(extents)]);
}

/** Throws `bad-format`. */
export function decodeReceipt(body: Uint8Array, origin: string): Receipt {
  const reader = new ByteReader(body, origin);
  const diskSize = checkDiskSize(reader.u64(), origin);
  const storedBytes = reader.u64();
  const [dataSegments, newSegments, auditedSegments, auditFailures] = [
    reader.u32(),
    reader.u32(),
    reader.u32(),
    reader.u32(),
  ];
  const extents = decodeExtents(reader, segmentsOf(diskSize), RUNS_PER_PART);
  reader.end();
  return { diskSize, stats: { dataSegments, newSegments, storedBytes, auditedSegments, auditFailures }, extents };
}

import { EkkoError } from '../errors.ts';
import { SEGMENTS_PER_PART } from '../words.ts';
import { type ByteReader, u32Bytes } from './bytes.ts';

/**
 * A run of consecutive segments: `count` segments from `start` (numbered in the disk, or in the page's span) that are all zero
 * (`pack` undefined), or segments `first`, `first + 1`, … of `pack` (its reference, see `format/pack.ts`).
 */
export interface Extent {
  readonly start: number;
  readonly count: number;
  readonly pack: string | undefined;
  readonly first: number;
}

/** Bytes of a pack's reference. */
export const REFERENCE_SIZE = 48;

/** Appends an extent, growing the last one where it continues it: both on the disk and in its pack. */
export function appendExtent(extents: Extent[], next: Extent): void {
  const last = extents.at(-1);
  const continues =
    last !== undefined &&
    last.start + last.count === next.start &&
    last.pack === next.pack &&
    (next.pack === undefined || last.first + last.count === next.first);
  if (continues) extents[extents.length - 1] = { ...last, count: last.count + next.count };
  else extents.push(next);
}

/** The part of an extent that lies in `[from, to)`, or undefined. */
export function clipExtent(extent: Extent, from: number, to: number): Extent | undefined {
  const start = Math.max(extent.start, from);
  const end = Math.min(extent.start + extent.count, to);
  if (start >= end) return undefined;
  const first = extent.pack === undefined ? 0 : extent.first + start - extent.start;
  return { start, count: end - start, pack: extent.pack, first };
}

/** u32 packs, u32 extents, pack references, then per extent: start, count, pack number (0 = zero), first segment. All u32 little-endian. */
export function encodeExtents(extents: readonly Extent[]): Buffer {
  const packs = new Map<string, number>();
  const fields: number[] = [];
  for (const { start, count, pack, first } of extents) {
    fields.push(start, count, packNumber(packs, pack), pack === undefined ? 0 : first);
  }
  const names = Buffer.from([...packs.keys()].join(''), 'hex');
  return Buffer.concat([u32Bytes([packs.size, extents.length]), names, u32Bytes(fields)]);
}

/** Extents that ascend, do not overlap, lie within `[0, limit)` segments and within their packs; else `bad-format`. At most `most` of them. */
export function decodeExtents(reader: ByteReader, limit: number, most: number): Extent[] {
  const packCount = reader.count(most, 'packs');
  const extentCount = reader.count(most, 'extents');
  const packs = Array.from({ length: packCount }, () => reader.take(REFERENCE_SIZE).toString('hex'));
  const extents: Extent[] = [];
  let free = 0;
  for (let i = 0; i < extentCount; i++) {
    const extent = readExtent(reader, packs);
    if (extent.start < free || extent.count === 0 || extent.start + extent.count > limit) {
      throw reader.refuse(
        `has extent ${i} over segments ${extent.start}+${extent.count}, allowed are ${free} to ${limit}`,
      );
    }
    free = extent.start + extent.count;
    extents.push(extent);
  }
  return extents;
}

/** The pack references of encoded extents, REFERENCE_SIZE bytes each; the extents themselves are passed over. Throws `bad-format`. */
export function decodeReferences(reader: ByteReader, most: number): Buffer {
  const packCount = reader.count(most, 'packs');
  reader.count(most, 'extents');
  return reader.take(packCount * REFERENCE_SIZE);
}

function readExtent(reader: ByteReader, packs: readonly string[]): Extent {
  const [start, count, number, first] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  if (number === 0) return { start, count, pack: undefined, first: 0 };
  const pack = packs[number - 1];
  if (pack === undefined) throw reader.refuse(`names pack ${number} of ${packs.length}`);
  if (first + count > SEGMENTS_PER_PART) throw reader.refuse(`names segments ${first}+${count} of a pack`);
  return { start, count, pack, first };
}

function packNumber(packs: Map<string, number>, pack: string | undefined): number {
  if (pack === undefined) return 0;
  if (pack.length !== REFERENCE_SIZE * 2) throw new EkkoError('bad-input', `${pack} is not the reference of a pack.`);
  const known = packs.get(pack);
  if (known !== undefined) return known;
  packs.set(pack, packs.size + 1);
  return packs.size;
}

/** The distinct packs that extents name, by reference. */
export function packsOf(extents: readonly Extent[]): Set<string> {
  const packs = new Set<string>();
  for (const { pack } of extents) if (pack !== undefined) packs.add(pack);
  return packs;
}

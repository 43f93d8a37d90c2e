import type { PackReference } from '#vault/format/pack.ts';
import { newPackTable } from '#vault/pack-table.ts';
import { SEGMENTS_PER_PART, type SegmentRun } from '#vault/words.ts';

const BITMAP_SIZE = SEGMENTS_PER_PART / 8;
const FIRST_CAPACITY = 64;

/** How many bits of a byte are set. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => [...byte.toString(2)].filter((bit) => bit === '1').length);

/** Which segments of which packs live pages name: a bit a segment, about 200 bytes a pack. */
export interface PackUsage {
  add(pack: PackReference, first: number, count: number): void;
  /** Numbers of the packs that are used, in the order in which they were met. */
  readonly packs: number;
  reference(pack: number): PackReference;
  /** How many segments are used. */
  count(pack: number): number;
  /** The used segments as runs, ascending. */
  runs(pack: number): SegmentRun[];
  /** Whether two references have been met that name this pack, which only one of them can mean. */
  isOdd(pack: number): boolean;
  /** The number of a pack by its name, or -1. */
  find(name: string): number;
}

export function newPackUsage(): PackUsage {
  const table = newPackTable();
  const odd = new Set<number>();
  let bits = Buffer.alloc(FIRST_CAPACITY * BITMAP_SIZE);

  const numberOf = (reference: PackReference): number => {
    const pack = table.add(reference);
    if (!table.isFirst(pack, reference)) odd.add(pack);
    if (table.size * BITMAP_SIZE > bits.length) bits = Buffer.concat([bits, Buffer.alloc(bits.length)]);
    return pack;
  };

  const isUsed = (pack: number, segment: number) =>
    ((bits[pack * BITMAP_SIZE + (segment >>> 3)] ?? 0) & (1 << (segment & 7))) !== 0;

  return {
    get packs() {
      return table.size;
    },
    add(reference, first, count) {
      const at = numberOf(reference) * BITMAP_SIZE;
      for (let segment = first; segment < first + count; segment++) {
        const byte = at + (segment >>> 3);
        bits[byte] = (bits[byte] ?? 0) | (1 << (segment & 7));
      }
    },
    reference: table.reference,
    count(pack) {
      let count = 0;
      for (let byte = pack * BITMAP_SIZE; byte < (pack + 1) * BITMAP_SIZE; byte++) count += ONES[bits[byte] ?? 0] ?? 0;
      return count;
    },
    runs(pack) {
      const runs: { first: number; count: number }[] = [];
      for (let segment = 0; segment < SEGMENTS_PER_PART; segment++) {
        if (!isUsed(pack, segment)) continue;
        const last = runs.at(-1);
        if (last !== undefined && last.first + last.count === segment) last.count++;
        else runs.push({ first: segment, count: 1 });
      }
      return runs;
    },
    isOdd: (pack) => odd.has(pack),
    find: table.find,
  };
}

import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import type { DataMap } from '../data-map.ts';

/** A cluster is a segment: 64 KiB. */
export const CLUSTER = SEGMENT_SIZE;
/** Entries of 8 bytes in a cluster of an L1, L2 or refcount table. */
export const ENTRIES = CLUSTER / 8;
/** Refcounts of 16 bits in a refcount block. */
export const REFCOUNTS = CLUSTER / 2;
const SECTOR = 512;

/**
 * Where everything lies in a qcow2 image (version 3) whose data follows its tables: header, refcount table, refcount blocks, L1 table, L2
 * tables, data, each from a cluster on. Offsets and lengths in clusters, but for the sizes.
 */
export interface Qcow2Layout {
  /** Bytes of the disk as a guest sees it: whole sectors. */
  readonly virtualSize: number;
  readonly refcountTable: Place;
  readonly refcountBlocks: Place;
  readonly l1Table: Place;
  readonly l1Entries: number;
  readonly l2Tables: Place;
  readonly data: Place;
  /** Clusters in all. */
  readonly clusters: number;
  /** Bytes of the image. */
  readonly length: number;
}

export interface Place {
  readonly first: number;
  readonly count: number;
}

/** The layout of an image that holds the disk's data and nothing else. */
export function layoutOf(map: DataMap): Qcow2Layout {
  const l1Entries = Math.ceil(segmentsOf(map.diskSize) / ENTRIES);
  const l1 = Math.ceil(l1Entries / ENTRIES);
  const l2 = usedTables(map, l1Entries);
  const { blocks, table } = refcountsFor(1 + l1 + l2 + map.dataSegments);
  let next = 1;
  const place = (count: number): Place => {
    next += count;
    return { first: next - count, count };
  };
  return {
    virtualSize: Math.ceil(map.diskSize / SECTOR) * SECTOR,
    refcountTable: place(table),
    refcountBlocks: place(blocks),
    l1Table: place(l1),
    l1Entries,
    l2Tables: place(l2),
    data: place(map.dataSegments),
    clusters: next,
    length: next * CLUSTER,
  };
}

/** Refcount blocks count themselves, and their table too. */
function refcountsFor(others: number): { readonly blocks: number; readonly table: number } {
  for (let blocks = 1, table = 1; ; ) {
    const needed = Math.ceil((others + blocks + table) / REFCOUNTS);
    const tables = Math.ceil(needed / ENTRIES);
    if (needed === blocks && tables === table) return { blocks, table };
    [blocks, table] = [needed, tables];
  }
}

/** An L2 table without data is left out. */
function usedTables(map: DataMap, l1Entries: number): number {
  let used = 0;
  for (let table = 0; table < l1Entries; table++) if (hasData(map, table)) used++;
  return used;
}

export function hasData(map: DataMap, table: number): boolean {
  return map.hasAny({ first: table * ENTRIES, count: ENTRIES });
}

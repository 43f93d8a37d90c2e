import type { DataMap } from '../data-map.ts';
import { CLUSTER, ENTRIES, hasData, type Qcow2Layout, REFCOUNTS } from './layout.ts';

const MAGIC = 0x514649fb;
const VERSION = 3;
const CLUSTER_BITS = 16;
/** Two to this power: refcounts of 16 bits. */
const REFCOUNT_ORDER = 4;
const HEADER_LENGTH = 104;
/** Bit 63 of an entry: nobody else refers to the cluster, so it may be written in place. */
const COPIED = 1n << 63n;

/** All that comes before the data, cluster by cluster: QEMU's `docs/interop/qcow2.txt` has the form. */
export function* tablesOf(layout: Qcow2Layout, map: DataMap): Generator<Buffer> {
  yield header(layout);
  yield* entries(layout.refcountTable.count, pointers(layout.refcountBlocks.first, layout.refcountBlocks.count));
  yield* refcountBlocks(layout);
  yield* entries(layout.l1Table.count, l1Entries(layout, map));
  yield* entries(layout.l2Tables.count, l2Entries(layout, map));
}

function header({ virtualSize, l1Entries, l1Table, refcountTable }: Qcow2Layout): Buffer {
  const cluster = Buffer.alloc(CLUSTER);
  cluster.writeUInt32BE(MAGIC, 0);
  cluster.writeUInt32BE(VERSION, 4);
  cluster.writeUInt32BE(CLUSTER_BITS, 20);
  cluster.writeBigUInt64BE(BigInt(virtualSize), 24);
  cluster.writeUInt32BE(l1Entries, 36);
  cluster.writeBigUInt64BE(offsetOf(l1Table.first), 40);
  cluster.writeBigUInt64BE(offsetOf(refcountTable.first), 48);
  cluster.writeUInt32BE(refcountTable.count, 56);
  cluster.writeUInt32BE(REFCOUNT_ORDER, 96);
  // No header extension follows: the zeros behind it say so.
  cluster.writeUInt32BE(HEADER_LENGTH, 100);
  return cluster;
}

function offsetOf(cluster: number): bigint {
  return BigInt(cluster) * BigInt(CLUSTER);
}

/** Tables of 8-byte entries, filled up with zeros. */
function* entries(clusters: number, values: Iterator<bigint>): Generator<Buffer> {
  for (let done = 0; done < clusters; done++) {
    const cluster = Buffer.alloc(CLUSTER);
    for (let at = 0; at < ENTRIES; at++) {
      const { value, done: end } = values.next();
      if (end === true) break;
      if (value !== 0n) cluster.writeBigUInt64BE(value, at * 8);
    }
    yield cluster;
  }
}

function* pointers(first: number, count: number): Generator<bigint> {
  for (let cluster = first; cluster < first + count; cluster++) yield offsetOf(cluster);
}

/** Every cluster of the image is referred to once. */
function* refcountBlocks({ refcountBlocks: { count }, clusters }: Qcow2Layout): Generator<Buffer> {
  for (let block = 0; block < count; block++) {
    const cluster = Buffer.alloc(CLUSTER);
    const used = Math.min(REFCOUNTS, clusters - block * REFCOUNTS);
    for (let at = 0; at < used; at++) cluster.writeUInt16BE(1, at * 2);
    yield cluster;
  }
}

function* l1Entries({ l1Entries: count, l2Tables }: Qcow2Layout, map: DataMap): Generator<bigint> {
  let next = l2Tables.first;
  for (let table = 0; table < count; table++) yield hasData(map, table) ? COPIED | offsetOf(next++) : 0n;
}

/** Those of the tables that there are, one behind the other. */
function* l2Entries({ l1Entries: count, data }: Qcow2Layout, map: DataMap): Generator<bigint> {
  let next = data.first;
  for (let table = 0; table < count; table++) {
    if (!hasData(map, table)) continue;
    const first = table * ENTRIES;
    for (let segment = first; segment < first + ENTRIES; segment++)
      yield map.has(segment) ? COPIED | offsetOf(next++) : 0n;
  }
}

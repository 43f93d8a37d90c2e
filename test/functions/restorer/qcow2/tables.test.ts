import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import { type DataMap, newDataMap } from '../../../../functions/restorer/data-map.ts';
import { layoutOf } from '../../../../functions/restorer/qcow2/layout.ts';
import { tablesOf } from '../../../../functions/restorer/qcow2/tables.ts';
import { randomMap } from '../random-map.ts';

const COPIED = 1n << 63n;

/** What the tables say, as QEMU reads them: from the header on, by offsets alone. */
function readTables(map: DataMap) {
  const layout = layoutOf(map);
  const tables = Buffer.concat([...tablesOf(layout, map)]);
  const l1At = Number(tables.readBigUInt64BE(40));
  const guest = new Map<number, number>();
  const referred = new Map<number, number>();
  const refer = (offset: number) => referred.set(offset / SEGMENT_SIZE, (referred.get(offset / SEGMENT_SIZE) ?? 0) + 1);
  const entryAt = (at: number) => {
    const entry = tables.readBigUInt64BE(at);
    if (entry !== 0n) expect(entry & COPIED).toBe(COPIED);
    return Number(entry & ~COPIED);
  };
  for (let table = 0; table < tables.readUInt32BE(36); table++) {
    const l2At = entryAt(l1At + table * 8);
    if (l2At === 0) continue;
    refer(l2At);
    for (let entry = 0; entry < 8192; entry++) {
      const offset = entryAt(l2At + entry * 8);
      if (offset === 0) continue;
      refer(offset);
      guest.set(table * 8192 + entry, offset);
    }
  }
  return { layout, tables, guest, referred, l1At };
}

describe('the tables of an image', () => {
  test('lead to the data of each segment in the order of the disk, and nowhere else', () => {
    fc.assert(
      fc.property(randomMap(30_000), (map) => {
        const { layout, tables, guest } = readTables(map);
        expect(tables.length + map.dataSegments * SEGMENT_SIZE).toBe(layout.length);
        const expected: [number, number][] = [];
        for (let segment = 0; segment < segmentsOf(map.diskSize); segment++) {
          if (map.has(segment)) expected.push([segment, tables.length + expected.length * SEGMENT_SIZE]);
        }
        expect([...guest]).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test('count each cluster of the image once: no more, no fewer, and none beyond its end', () => {
    fc.assert(
      fc.property(randomMap(30_000), (map) => {
        const { layout, tables, referred } = readTables(map);
        const tableAt = Number(tables.readBigUInt64BE(48));
        const counted: number[] = [];
        for (let at = tableAt; at < tableAt + tables.readUInt32BE(56) * SEGMENT_SIZE; at += 8) {
          const block = Number(tables.readBigUInt64BE(at));
          for (let entry = 0; block !== 0 && entry < 32_768; entry++)
            counted.push(tables.readUInt16BE(block + entry * 2));
        }
        expect(counted.slice(0, layout.clusters).every((count) => count === 1)).toBe(true);
        expect(counted.slice(layout.clusters).every((count) => count === 0)).toBe(true);
        expect(counted.length).toBeGreaterThanOrEqual(layout.clusters);
        expect([...referred.values()].every((count) => count === 1)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('are of version 3, for a disk of whole sectors, with no backing file and no feature that a reader could lack', () => {
    const { tables } = readTables(newDataMap(10 * SEGMENT_SIZE - 1000));
    expect(tables.subarray(0, 4).toString('latin1')).toBe('QFI\xfb');
    expect(tables.readUInt32BE(4)).toBe(3);
    expect(tables.readBigUInt64BE(8)).toBe(0n);
    expect(Number(tables.readBigUInt64BE(24))).toBe(10 * SEGMENT_SIZE - 512);
    expect(tables.subarray(72, 96).every((byte) => byte === 0)).toBe(true);
  });
});

describe('the layout of an image', () => {
  test('of an empty disk is a header and tables of 64 KiB each, however large it is', () => {
    expect(layoutOf(newDataMap(1)).length).toBe(4 * SEGMENT_SIZE);
    // 2048 entries of an L1 table for 1 TiB, 131,072 for 64 TiB.
    expect(layoutOf(newDataMap(1024 ** 4)).length).toBe(4 * SEGMENT_SIZE);
    expect(layoutOf(newDataMap(64 * 1024 ** 4)).length).toBe((3 + 16) * SEGMENT_SIZE);
  });

  test('grows by whole refcount blocks exactly where they are needed', () => {
    // Around 2 GiB, where the second block is needed: header, table, block(s), L1, four or five L2 tables.
    for (let dataSegments = 32_700; dataSegments < 32_800; dataSegments++) {
      const map = newDataMap(4 * 1024 ** 3);
      map.add({ first: 0, count: dataSegments });
      const { clusters, refcountBlocks } = layoutOf(map);
      expect(clusters).toBe(1 + 1 + refcountBlocks.count + 1 + Math.ceil(dataSegments / 8192) + dataSegments);
      expect(refcountBlocks.count).toBe(Math.ceil(clusters / 32_768));
    }
  });
});

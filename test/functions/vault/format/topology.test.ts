import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodePoint, type RestorePoint } from '#vault/format/point.ts';
import { openPoint, openPointHead, sealPoint } from '#vault/format/point-object.ts';
import { RecordKind, sealRecord } from '#vault/format/record.ts';
import type { Topology } from '#vault/format/topology.ts';
import { decodeTopology, encodeTopology, LARGEST_TOPOLOGY } from '#vault/format/topology-bytes.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { readListedPoint, readPoint, writePoint } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { exampleServer, exampleTopology } from '../../../example-topology.ts';
import golden from '../../../golden/topology/point.json' with { type: 'json' };

const keys = deriveEpochKeys(Buffer.alloc(32, 7), 'topology', 1);
const keyring = keyringOf([keys]);
const POINT: RestorePoint = { id: '20261121-030000-aabbcc', group: 'shop', takenAt: '2026-11-21T03:00:02Z', disks: [] };

test('a topology comes back as it was', () => {
  const topology = exampleTopology();
  expect(decodeTopology(encodeTopology(topology), 'It')).toEqual(topology);
});

test('what a newer Ekko says besides is passed over', () => {
  const body = JSON.stringify({
    ...exampleTopology(),
    moon: 'full',
    servers: [{ ...exampleServer('a', 'b'), mood: 1 }],
  });
  expect(decodeTopology(Buffer.from(body), 'It')).toEqual({
    ...exampleTopology(),
    servers: [exampleServer('a', 'b')],
  });
});

test.each<[string, unknown]>([
  ['It is not an object', []],
  ['The field readAt of It is not text', { ...exampleTopology(), readAt: 5 }],
  [
    'The field disks of Item 0 of The field servers of It is not a list',
    { ...exampleTopology(), servers: [{ ...exampleServer('a', 'b'), disks: {} }] },
  ],
  [
    'A value of The field metadata of Item 0 of The field servers of It is not text',
    withServer({ metadata: { a: 1 } }),
  ],
  ['The field flavor of Item 0 of The field servers of It is not an object', withServer({ flavor: 'm1.small' })],
  [
    'The field kind of Item 0 of The field addresses of Item 0 of The field servers of It is not one of fixed, floating',
    withServer({ addresses: [{ network: 'a', address: 'b', kind: 'c' }] }),
  ],
  ['The field stack of It is not an object', { ...exampleTopology(), stack: null }],
])('a topology of another shape is refused: %s', (message, value) => {
  expect(() => decodeTopology(Buffer.from(JSON.stringify(value)), 'It')).toThrow(message);
});

function withServer(more: object): unknown {
  return { ...exampleTopology(), servers: [{ ...exampleServer('a', 'b'), ...more }] };
}

test('a topology above the limit is refused before it is parsed', () => {
  expect(() => decodeTopology(Buffer.alloc(LARGEST_TOPOLOGY + 1), 'It')).toThrow('at most 4194304 are allowed');
});

describe('what is too large is left out and named,', () => {
  const bounded = (topology: Topology, largest: number) => decodeTopology(encodeTopology(topology, largest), 'It');

  test('files of the stack before all else', () => {
    const { stack, ...rest } = exampleTopology();
    const large = { ...rest, stack: { ...stack, files: { 'file:///a': 'x'.repeat(50_000) } } } as Topology;
    const found = bounded(large, 40_000);
    expect(found.stack?.files).toBeUndefined();
    expect(found.stack?.template).toBe(stack?.template);
    expect(found.omitted.map(({ part }) => part)).toEqual(['servers.userData', 'stack.files']);
  });

  test('user data before servers, servers at last', () => {
    const servers = Array.from({ length: 100 }, (_, i) => exampleServer(`server-${i}`, `web-${i}`));
    const large: Topology = { ...exampleTopology(), servers };
    const size = encodeTopology(large).length;
    const found = bounded(large, size - 3000);
    expect(found.servers).toHaveLength(100);
    expect(found.servers.some(({ userData }) => userData !== undefined)).toBe(false);
    expect(bounded(large, 8000).servers).toEqual([]);
    expect(bounded(large, 8000).unprotected).toHaveLength(1);
  });

  test('and what there is none of is not named', () => {
    const { stack, ...rest } = exampleTopology();
    const stackParts = (topology: Topology) =>
      bounded(topology, 1800)
        .omitted.map(({ part }) => part)
        .filter((part) => part.startsWith('stack'));
    expect(stackParts(rest)).toEqual([]);
    expect(stackParts({ ...rest, stack: { ...stack, files: {}, resources: [] } } as unknown as Topology)).toEqual([
      'stack.environment',
      'stack.template',
      'stack',
    ]);
  });

  test('whatever the limit, what is left is within it', () => {
    const size = encodeTopology(exampleTopology()).length;
    for (let largest = 400; largest <= size; largest += 97) {
      expect(encodeTopology(exampleTopology(), largest).length).toBeLessThanOrEqual(largest);
    }
    expect(encodeTopology(exampleTopology(), size)).toHaveLength(size);
  });
});

describe('the object of a point', () => {
  test('holds its topology beside its record', () => {
    const topology = exampleTopology();
    const bytes = Buffer.concat(sealPoint(keys, { ...POINT, topology }));
    expect(openPoint(keyring, bytes, 'It')).toEqual({ ...POINT, topology });
    expect(openPointHead(keyring, bytes, 'It')).toEqual(POINT);
  });

  test('is a record alone where there is no topology, as it was from the beginning', () => {
    const bytes = Buffer.concat(sealPoint(keys, POINT));
    expect(bytes.toString('latin1', 0, 8)).toBe('EKKOREC1');
    expect(openPoint(keyring, bytes, 'It')).toEqual(POINT);
    expect(encodePoint({ ...POINT, topology: exampleTopology() })).toEqual(encodePoint(POINT));
  });

  test('is refused when any part of it was changed or cut', () => {
    const bytes = Buffer.concat(sealPoint(keys, { ...POINT, topology: exampleTopology() }));
    for (let at = 0; at < bytes.length; at += 13) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openPoint(keyring, changed, 'It')).toThrow();
      expect(() => openPoint(keyring, bytes.subarray(0, at), 'It')).toThrow();
    }
  });

  test('with a topology of no known shape is read, and the topology lacks everything', () => {
    const { length } = Buffer.concat(sealPoint(keys, POINT));
    const whole = Buffer.concat(sealPoint(keys, { ...POINT, topology: exampleTopology() }));
    const strange = sealRecord(keys, { kind: RecordKind.topology, context: '' }, Buffer.from('{"servers": 5}'));
    const point = openPoint(keyring, Buffer.concat([whole.subarray(0, 12 + length), strange]), 'It');
    expect(point).toMatchObject({ ...POINT, topology: { servers: [], omitted: [{ part: 'topology' }] } });
  });
});

test('the golden point with a topology is read as it was written', () => {
  const golds = keyringOf([deriveEpochKeys(Buffer.alloc(32, 1), 'golden', 1)]);
  expect(openPoint(golds, Buffer.from(golden.hex, 'hex'), 'It')).toEqual(golden.point);
});

describe('lists of points', () => {
  const largeTopology = (): Topology => ({
    ...exampleTopology(),
    servers: [{ ...exampleServer('a', 'b'), userData: randomBytes(1024 ** 2).toString('base64') }],
  });
  const manyDisks = (): RestorePoint['disks'] =>
    Array.from({ length: 1000 }, (_, i) => ({
      ...{ name: `disk-${i}`, manifest: randomBytes(32).toString('hex'), diskSize: 1, base: undefined, origin: 'x' },
      ...{ fullReason: undefined, takenAt: POINT.takenAt, consistency: 'crash', consistencyNote: '', frozenMs: 0 },
      ...{ assurance: { auditedSegments: 0, auditFailures: 0 }, changedBytes: 0, newBytes: 0, storedBytes: 0 },
    }));

  async function written(point: RestorePoint) {
    const store = openMemoryStore();
    let read = 0;
    const get: typeof store.get = async (key, range) => {
      const bytes = await store.get(key, range);
      read += bytes.length;
      return bytes;
    };
    const reader = { store: { ...store, get }, keyring };
    const name = await writePoint(reader, point);
    return { reader, store, name, read: () => read };
  }

  test('read little of a point, however large its topology', async () => {
    const { reader, name, read } = await written({ ...POINT, topology: largeTopology() });
    expect(await readListedPoint(reader, { run: POINT.id, point: name })).toEqual(POINT);
    expect(read()).toBe(16 * 1024);
    expect((await readPoint(reader, name)).topology?.servers).toHaveLength(1);
  });

  test.each([
    ['with a topology', { topology: largeTopology() }],
    ['without one', {}],
  ])('read a point of many disks %s up to its end', async (_, more) => {
    const point = JSON.parse(JSON.stringify({ ...POINT, disks: manyDisks() })) as RestorePoint;
    const { reader, name, read } = await written({ ...point, ...more });
    expect(await readListedPoint(reader, { run: POINT.id, point: name })).toEqual(point);
    expect(read()).toBeLessThan(200_000);
  });

  test('refuse the record of another point, and damage', async () => {
    const { reader, store, name } = await written({ ...POINT, topology: largeTopology() });
    await expect(readListedPoint(reader, { run: '20261121-030000-000000', point: name })).rejects.toMatchObject({
      code: 'damaged',
    });
    await damage(store, name, 100);
    await expect(readListedPoint(reader, { run: POINT.id, point: name })).rejects.toMatchObject({ code: 'damaged' });
  });

  test('refuse damage anywhere in a small one, for it is read whole', async () => {
    const { reader, store, name } = await written({ ...POINT, topology: exampleTopology() });
    await damage(store, name, -1);
    await expect(readListedPoint(reader, { run: POINT.id, point: name })).rejects.toMatchObject({ code: 'damaged' });
  });

  async function damage(store: ObjectStore, name: string, at: number): Promise<void> {
    const key = contentKey(Folder.points, name);
    const bytes = await store.get(key);
    const place = at < 0 ? bytes.length + at : at;
    await store.remove([key]);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    await store.create(key, [bytes]);
  }
});

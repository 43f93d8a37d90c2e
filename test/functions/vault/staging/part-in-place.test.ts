import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, read, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { carriedRuns, type PartRun, RunKind } from '#vault/format/staged-part.ts';
import type { VaultReader } from '#vault/records.ts';
import { openPart } from '#vault/staging/open-part.ts';
import {
  newPartInPlace,
  openPartInPlace,
  type PlaceReader,
  waitsForDisks,
  warmPartInPlace,
} from '#vault/staging/part-in-place.ts';
import type { PlacedDisk } from '#vault/staging/placed-disk.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { stagingKey } from '#vault/store/object-names.ts';
import { newSharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';

const PLACE = { run: '20260101-000000-00000a', disk: 0, part: 0 } as const;
/** The last segment is half a one. */
const SIZE = 99 * SEGMENT_SIZE + SEGMENT_SIZE / 2;
const content = Buffer.concat([randomBytes(SIZE), Buffer.alloc(SEGMENT_SIZE / 2)]);

let directory: string;
let place: PlacedDisk;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ekko-place-'));
  const path = join(directory, 'disk');
  const descriptor = openSync(path, 'w+');
  writeSync(descriptor, content, 0, SIZE);
  place = { path, descriptor, size: SIZE, version: fstatSync(descriptor, { bigint: true }).mtimeNs };
});

afterEach(() => {
  closeSync(place.descriptor);
  rmSync(directory, { recursive: true });
});

/** No key is asked for. */
const reader = (store: VaultReader['store']) => ({ store, keyring: undefined }) as unknown as VaultReader;
const headerOf = (runs: readonly PartRun[]) => ({ diskSize: SIZE, lineage: 'ab'.repeat(32), runs });
const whole = headerOf([{ first: 0, count: segmentsOf(SIZE), kind: RunKind.data }]);

async function staged(part: Buffer, staging = newSharedStaging(0, 4096, 0, 1)) {
  const store = withSharedStaging(openMemoryStore(), staging);
  await store.create(stagingKey(PLACE), [part]);
  return reader(store);
}

const someRuns = fc
  .array(fc.record({ gap: fc.nat(3), count: fc.integer({ min: 1, max: 21 }), kind: fc.constantFrom(0, 1, 2) }), {
    maxLength: 6,
  })
  .map((steps) => {
    let first = 0;
    const runs = steps.map(({ gap, count, kind }): PartRun => {
      first += gap + count;
      return { first: first - count, count, kind: kind as RunKind };
    });
    return runs.filter((run) => run.first + run.count <= segmentsOf(SIZE));
  });

test('what its runs list comes out of the file, in chunks of 1 MiB, with zeros behind the end of the disk', async () => {
  await fc.assert(
    fc.asyncProperty(someRuns, async (runs) => {
      const opened = await openPart(await staged(newPartInPlace(headerOf(runs), place)), PLACE);
      expect(opened.header).toEqual(headerOf(runs));
      const chunks = await Array.fromAsync(opened.chunks());
      expect(chunks.slice(0, -1).every(({ length }) => length === 16 * SEGMENT_SIZE)).toBe(true);
      const listed = carriedRuns(runs).map(({ first, count }) =>
        content.subarray(first * SEGMENT_SIZE, (first + count) * SEGMENT_SIZE),
      );
      expect(Buffer.concat(chunks).equals(Buffer.concat(listed))).toBe(true);
      opened.close();
    }),
    { numRuns: 100 },
  );
});

test('two parts that are open at once do not share memory', async () => {
  const [one, other] = [0, 16].map((first) =>
    openPartInPlace(shared(newPartInPlace(headerOf([{ first, count: 16, kind: RunKind.data }]), place)), 'a part'),
  );
  const [mine, others] = [await Array.fromAsync(one?.chunks() ?? []), await Array.fromAsync(other?.chunks() ?? [])];
  expect(mine[0]?.equals(content.subarray(0, 16 * SEGMENT_SIZE))).toBe(true);
  expect(others[0]?.equals(content.subarray(16 * SEGMENT_SIZE, 32 * SEGMENT_SIZE))).toBe(true);
  one?.close();
  other?.close();
});

test('a file that was written to since is told, and so is one that has become shorter', async () => {
  const opened = await openPart(await staged(newPartInPlace(whole, place)), PLACE);
  writeSync(place.descriptor, 'x', 5);
  await expect(Array.fromAsync(opened.chunks())).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining(`${place.path} changed while it was read (it was written to)`),
  });
  const careless = await openPart(await staged(newPartInPlace(whole, { ...place, version: undefined })), PLACE);
  expect(await Array.fromAsync(careless.chunks())).toHaveLength(7);
  ftruncateSync(place.descriptor, 10 * SEGMENT_SIZE);
  await expect(Array.fromAsync(careless.chunks())).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining('it ends at 655360 bytes now'),
  });
});

test('in a store that is no memory of this process such a part is refused', async () => {
  const store = openMemoryStore();
  await store.create(stagingKey(PLACE), [newPartInPlace(whole, place)]);
  await expect(openPart(reader(store), PLACE)).rejects.toMatchObject({ code: 'bad-format' });
});

test('a header whose runs leave the disk is refused', async () => {
  const part = newPartInPlace(headerOf([{ first: 99, count: 2, kind: RunKind.data }]), place);
  await expect(openPart(await staged(part), PLACE)).rejects.toMatchObject({ code: 'part-refused' });
});

test('where the disk is slow the next part is read ahead, until it is fast again', async () => {
  let time = 0;
  const read_ = promisify(read);
  const asked: number[] = [];
  const system = (millisecondsPerRead: number): PlaceReader => ({
    readSync: (...of) => {
      time += millisecondsPerRead;
      return readSync(...of);
    },
    read: (...of) => {
      time += millisecondsPerRead;
      asked.push(of[3] / SEGMENT_SIZE);
      return read_(...of);
    },
    now: () => time,
  });
  const part = shared(newPartInPlace(whole, place));
  const readWhole = async (reading: PlaceReader) => {
    const opened = openPartInPlace(part, 'a part', reading);
    for await (const _ of opened.chunks());
    opened.close();
  };
  // Whatever the tests before have met.
  await warmPartInPlace(part, 'a part', system(0.1));
  await readWhole(system(0.1));
  expect(waitsForDisks()).toBe(false);
  asked.length = 0;
  await readWhole(system(100));
  expect(waitsForDisks()).toBe(true);
  await warmPartInPlace(part, 'a part', system(100));
  expect(asked.reduce((sum, count) => sum + count, 0)).toBe(segmentsOf(SIZE));
  expect(waitsForDisks()).toBe(true);
  await readWhole(system(0.1));
  expect(waitsForDisks()).toBe(true);
  await warmPartInPlace(part, 'a part', system(0.1));
  expect(waitsForDisks()).toBe(false);
});

test('what cannot be read ahead is told by the part itself', async () => {
  const part = shared(newPartInPlace(whole, { ...place, descriptor: 2 ** 20 }));
  await warmPartInPlace(part, 'a part');
  await expect(Array.fromAsync(openPartInPlace(part, 'a part').chunks())).rejects.toMatchObject({ code: 'EBADF' });
});

function shared(bytes: Buffer): Buffer {
  const memory = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(memory);
  return memory;
}

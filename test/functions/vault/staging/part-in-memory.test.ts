import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PartRun, RunKind } from '#vault/format/staged-part.ts';
import type { VaultReader } from '#vault/records.ts';
import { openPart } from '#vault/staging/open-part.ts';
import { newPartInMemory } from '#vault/staging/part-in-memory.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { stagingKey } from '#vault/store/object-names.ts';
import { newSharedStaging, roomForPart, withSharedStaging } from '#vault/store/shared-staging.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';

const PLACE = { run: '20260101-000000-00000a', disk: 0, part: 0 } as const;
const DISK = { diskSize: 100 * SEGMENT_SIZE, lineage: undefined };
const HEAD_ROOM = 4096;

/** No key is asked for. */
const reader = (store: VaultReader['store']) => ({ store, keyring: undefined }) as unknown as VaultReader;

function room(segments: number) {
  const staging = newSharedStaging(1, HEAD_ROOM, segments * SEGMENT_SIZE);
  return { store: withSharedStaging(openMemoryStore(), staging), memory: roomForPart(staging) };
}

const someRuns = fc
  .array(fc.record({ gap: fc.nat(2), count: fc.integer({ min: 1, max: 9 }), kind: fc.constantFrom(0, 1, 2) }), {
    maxLength: 8,
  })
  .map((steps) => {
    let first = 0;
    return steps.map(({ gap, count, kind }): PartRun => {
      first += gap + count;
      return { first: first - count, count, kind: kind as RunKind };
    });
  });

test('what goes in comes out, in chunks of 1 MiB that are views of the memory it lies in', async () => {
  await fc.assert(
    fc.asyncProperty(someRuns, fc.integer({ min: 1, max: 5 }), async (runs, step) => {
      const carried = runs.filter(({ kind }) => kind !== RunKind.zero).reduce((sum, { count }) => sum + count, 0);
      const content = randomBytes(carried * SEGMENT_SIZE);
      const { store, memory } = room(carried);
      const part = newPartInMemory(memory);
      for (let at = 0; at < content.length; at += step * SEGMENT_SIZE)
        part.addData(content.subarray(at, at + step * SEGMENT_SIZE));
      await store.create(stagingKey(PLACE), part.finish({ ...DISK, runs }));
      const opened = await openPart(reader(store), PLACE);
      expect(opened.header).toMatchObject({ ...DISK, runs });
      const chunks = await Array.fromAsync(opened.chunks());
      expect(chunks.every(({ buffer }) => buffer === memory.buffer)).toBe(true);
      expect(chunks.slice(0, -1).every(({ length }) => length === 16 * SEGMENT_SIZE)).toBe(true);
      expect(Buffer.concat(chunks).equals(content)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('in a store that is no memory of this process such a part is refused', async () => {
  const store = openMemoryStore();
  const runs = [{ first: 0, count: 1, kind: RunKind.data }];
  const part = newPartInMemory(new Uint8Array(new SharedArrayBuffer(SEGMENT_SIZE)));
  part.addData(Buffer.alloc(SEGMENT_SIZE, 1));
  await store.create(stagingKey(PLACE), part.finish({ ...DISK, runs }));
  await expect(openPart(reader(store), PLACE)).rejects.toMatchObject({ code: 'bad-format' });
});

test.each([
  ['less data than its header tells', 'damaged', 2, 1],
  ['more', 'damaged', 1, 2],
  ['a run that leaves the disk', 'part-refused', 101, 1],
])('a part with %s is refused', async (_, code, told, carried) => {
  const { store, memory } = room(carried);
  const part = newPartInMemory(memory);
  part.addData(Buffer.alloc(carried * SEGMENT_SIZE, 1));
  await store.create(stagingKey(PLACE), part.finish({ ...DISK, runs: [{ first: 0, count: told, kind: 0 }] }));
  await expect(openPart(reader(store), PLACE)).rejects.toMatchObject({ code });
});

test('a part that outgrows its memory is never cut short', () => {
  const part = newPartInMemory(room(1).memory);
  part.addData(Buffer.alloc(SEGMENT_SIZE, 1));
  expect(() => part.addData(Buffer.alloc(SEGMENT_SIZE, 1))).toThrow(RangeError);
});

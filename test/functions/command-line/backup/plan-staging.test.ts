import { expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { roomForPart, withSharedStaging } from '#vault/store/shared-staging.ts';
import { planStaging } from '../../../../functions/command-line/backup/plan-staging.ts';

const MIB = 1024 ** 2;

test('two threads get parts of 24 MiB', () => {
  const { partSegments, partsWaiting, placedPartsWaiting, memory } = planStaging(2, 1);
  const large = memory.slots.filter(({ byteLength }) => byteLength > 24 * MIB).length;
  expect({ partSegments, partsWaiting, placedPartsWaiting, large, slots: memory.slots.length }).toEqual({
    ...{ partSegments: 384, partsWaiting: 3, placedPartsWaiting: 6 },
    ...{ large: 4, slots: 4 + 8 },
  });
});

test.each([1, 2, 3, 8, 64, 256])('%d threads have no more memory for parts than two have', (workers) => {
  const { partSegments, partsWaiting, memory } = planStaging(workers, 1);
  expect(partSegments).toBeGreaterThan(0);
  expect(partsWaiting).toBeGreaterThanOrEqual(workers);
  const large = Math.max(...memory.slots.map(({ byteLength }) => byteLength));
  expect((partsWaiting + 1) * large).toBeLessThan(160 * MIB);
});

test('there is room for the summary of every disk, and beside them for the parts that wait and the one being written', async () => {
  const disks = 5;
  const { partsWaiting, placedPartsWaiting, memory } = planStaging(2, disks);
  const store = withSharedStaging(openMemoryStore(), memory);
  const small = Array.from({ length: placedPartsWaiting + 1 + disks }, (_, at) => `staging/run/0000/${at}`);
  for (const key of small) expect(await store.create(key, [Buffer.from('part')])).toBe('created');
  for (let part = 0; part <= partsWaiting; part++)
    expect(await store.create(`staging/run/0001/${part}`, [Buffer.from('head'), roomForPart(memory)])).toBe('created');
  expect(() => roomForPart(memory)).toThrow('no room');
});

import { expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { withSharedStaging } from '#vault/store/shared-staging.ts';
import { planStaging } from '../../../../functions/command-line/backup/plan-staging.ts';

const MIB = 1024 ** 2;

test('two threads get parts of 24 MiB', () => {
  const { partSegments, partsWaiting, memory } = planStaging(2, 1);
  expect({ partSegments, partsWaiting, slots: memory.slots.length }).toEqual({
    partSegments: 384,
    partsWaiting: 3,
    slots: 5,
  });
});

test.each([1, 2, 3, 8, 64, 256])('%d threads have no more memory for parts than two have', (workers) => {
  const { partSegments, partsWaiting, memory } = planStaging(workers, 1);
  expect(partSegments).toBeGreaterThan(0);
  expect(partsWaiting).toBeGreaterThanOrEqual(workers);
  expect((partsWaiting + 1) * (memory.slots[0]?.byteLength ?? 0)).toBeLessThan(160 * MIB);
});

test('there is room for the parts that wait, the one being written, and the summary of every disk', async () => {
  const disks = 5;
  const { partsWaiting, memory } = planStaging(2, disks);
  const store = withSharedStaging(openMemoryStore(), memory);
  const keys = Array.from({ length: partsWaiting + 1 + disks }, (_, at) => `staging/run/0000/${at}`);
  for (const key of keys) expect(await store.create(key, [Buffer.from('part')])).toBe('created');
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { endOf, startInBackground } from '../../../../functions/catalog/background/background.ts';
import type { Catalog } from '../../../../functions/catalog/catalog.ts';
import { readRecord } from '../../../../functions/catalog/registry/records.ts';
import { openRegistry } from '../../../../functions/catalog/registry/registry.ts';

const BEAT_MS = 60_000;
const place = { kind: 'upkeeps', path: ['a', 'main'] } as const;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A registry over a store that tells both of two writers that they were first, as Swift does; `slow` is waited for in its writes. */
function catalogOnSwift(slow: () => Promise<void>) {
  const memory = openMemoryStore();
  const registry = openRegistry({
    ...memory,
    async create(key, body) {
      const there = (await Array.fromAsync(memory.list(''))).some((object) => object.key === key);
      await slow();
      if (there) return 'exists';
      await memory.remove([key]);
      return memory.create(key, body);
    },
  });
  return { registry, background: new Map(), now: () => new Date() } as unknown as Catalog;
}

test('a sign of life that is being written when the work ends does not write over its end', async () => {
  const writing = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let beating = false;
  const catalog = catalogOnSwift(async () => {
    if (!beating) return;
    beating = false;
    writing.resolve();
    await gate.promise;
  });
  const work = Promise.withResolvers<object>();
  await startInBackground(catalog, { ...place, what: 'An upkeep' }, {}, async () => () => work.promise);
  beating = true;
  vi.advanceTimersByTime(BEAT_MS);
  await writing.promise;
  work.resolve({ report: { swept: 1 } });
  // Time enough for an end that does not wait.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  gate.resolve();
  await endOf(catalog, place);
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect((await readRecord(catalog.registry, 'upkeeps', 'a', 'main'))?.value).toMatchObject({
    ...{ state: 'done', report: { swept: 1 }, endedAt: expect.any(String) },
  });
});

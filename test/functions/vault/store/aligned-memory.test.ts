import { afterEach, expect, test, vi } from 'vitest';
import { alignedMemories } from '#vault/store/aligned-memory.ts';

const SIZE = 65_536;

afterEach(() => {
  vi.unstubAllGlobals();
});

test('so many pieces are lent at a time and no more, the same again and again; who comes then waits', async () => {
  const withMemory = alignedMemories(SIZE, 2);
  const seen = new Set<Buffer>();
  const lent = { now: 0, most: 0 };
  const use = async (memory: Buffer) => {
    seen.add(memory);
    lent.most = Math.max(lent.most, ++lent.now);
    await new Promise((resolve) => setImmediate(resolve));
    lent.now--;
    return memory.length;
  };
  expect(await Promise.all(Array.from({ length: 20 }, () => withMemory(use)))).toEqual(Array(20).fill(SIZE));
  expect([lent.most, seen.size]).toEqual([2, 2]);
});

test('memory comes back from work that fails', async () => {
  const withMemory = alignedMemories(SIZE, 1);
  await expect(withMemory(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withMemory(async ({ length }) => length)).toBe(SIZE);
});

test('where no memory can be had nothing is done; the next one may have some', async () => {
  const withMemory = alignedMemories(SIZE, 2);
  class Memory {
    constructor() {
      throw new RangeError('WebAssembly.Memory(): could not allocate memory');
    }
  }
  vi.stubGlobal('WebAssembly', { Memory });
  const work = vi.fn(async () => 'done');
  expect(await withMemory(work)).toBeUndefined();
  expect(work).not.toHaveBeenCalled();
  vi.unstubAllGlobals();
  expect(await withMemory(work)).toBe('done');
});

import { describe, expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { keyPart, openRegistry } from '../../../../functions/catalog/registry/registry.ts';

const PATH = ['policies', 'a', 'nightly'];

describe('a record', () => {
  test('is read as it was written last, and never overwritten', async () => {
    const store = openMemoryStore();
    const registry = openRegistry(store);
    expect(await registry.read(PATH)).toBeUndefined();
    expect(await registry.write(PATH, { n: 1 }, 0)).toBe('written');
    expect(await registry.write(PATH, { n: 2 }, 1)).toBe('written');
    expect(await registry.read(PATH)).toEqual({ version: 2, record: { n: 2 } });
    expect((await store.get('policies/a/nightly/000000000001')).toString()).toBe('{"n":1}');
  });

  test('is changed by one of two that change it at once', async () => {
    const store = openMemoryStore();
    const registries = [openRegistry(store), openRegistry(store)];
    const outcomes = await Promise.all(registries.map((registry, n) => registry.write(PATH, { n }, 0)));
    expect(outcomes.sort()).toEqual(['overtaken', 'written']);
  });

  test('that is forgotten is gone, cannot come back by an old version, and begins anew behind its end', async () => {
    const registry = openRegistry(openMemoryStore());
    await registry.write(PATH, { n: 1 }, 0);
    expect(await registry.forget(PATH, 1)).toBe('written');
    expect(await registry.read(PATH)).toBeUndefined();
    expect(await registry.write(PATH, { n: 2 }, 1)).toBe('overtaken');
    expect(await registry.write(PATH, { n: 3 }, await registry.lastVersion(PATH))).toBe('written');
    expect(await registry.read(PATH)).toMatchObject({ record: { n: 3 } });
  });

  test('keeps few old versions, however often it changes', async () => {
    const store = openMemoryStore();
    const registry = openRegistry(store);
    for (let n = 0; n < 20; n++) await registry.write(PATH, { n }, n);
    expect((await Array.fromAsync(store.list('policies/'))).length).toBeLessThanOrEqual(4);
    expect(await registry.read(PATH)).toMatchObject({ version: 20, record: { n: 19 } });
  });

  test('that another process changed is seen at once', async () => {
    const store = openMemoryStore();
    const [ours, theirs] = [openRegistry(store), openRegistry(store)];
    await ours.write(PATH, { n: 1 }, 0);
    await ours.read(PATH);
    await theirs.write(PATH, { n: 2 }, 1);
    expect(await ours.read(PATH)).toMatchObject({ record: { n: 2 } });
  });

  test.each([
    ['is not JSON', Buffer.from('{')],
    ['is far too large', Buffer.alloc(2 * 1024 ** 2, 0x20)],
  ])('that %s is called damaged', async (_, bytes) => {
    const store = openMemoryStore();
    await store.create('policies/a/nightly/000000000001', [bytes]);
    await expect(openRegistry(store).read(PATH)).rejects.toMatchObject({ code: 'damaged' });
  });

  test('that is too large is refused', async () => {
    const registry = openRegistry(openMemoryStore());
    await expect(registry.write(PATH, { text: 'x'.repeat(1024 ** 2) }, 0)).rejects.toMatchObject({ code: 'too-large' });
  });
});

describe('a list', () => {
  test('comes in pages that miss nothing and repeat nothing', async () => {
    const registry = openRegistry(openMemoryStore());
    const names = Array.from({ length: 25 }, (_, n) => `p${String(n).padStart(2, '0')}`);
    for (const name of names) await registry.write(['policies', 'a', name], { name }, 0);
    await registry.forget(['policies', 'a', 'p07'], 1);
    await registry.write(['policies', 'b', 'other'], { name: 'other' }, 0);
    const seen: string[] = [];
    let marker: string | undefined;
    let pages = 0;
    do {
      const { records, next } = await registry.list(['policies', 'a'], { limit: 10, marker });
      expect(records.length).toBeLessThanOrEqual(10);
      seen.push(...records.map(({ name }) => name));
      marker = next;
      pages += 1;
    } while (marker !== undefined);
    expect(seen).toEqual(names.filter((name) => name !== 'p07'));
    expect(pages).toBe(3);
  });

  test('of a project never holds what is another’s, whatever that is called', async () => {
    const registry = openRegistry(openMemoryStore());
    await registry.write(['policies', 'a', 'mine'], {}, 0);
    for (const project of ['a-b', 'A', 'a/mine', '..', 'aa'])
      await registry.write(['policies', project, 'theirs'], {}, 0);
    const { records } = await registry.list(['policies', 'a'], { limit: 10 });
    expect(records.map(({ name }) => name)).toEqual(['mine']);
  });
});

test('texts that no store takes as names become others, never the same', () => {
  const texts = ['a', 'A', 'a/b', '..', '', 'x'.repeat(65), `_${'0'.repeat(64)}`, 'compute-1.example.org'];
  const parts = texts.map(keyPart);
  expect(new Set(parts).size).toBe(texts.length);
  for (const part of parts) expect(part).toMatch(/^[a-z0-9_-]{1,65}$/);
});

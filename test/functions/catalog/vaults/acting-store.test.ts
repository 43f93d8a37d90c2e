import { expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { actingCaller } from '../../../../functions/catalog/acting-caller.ts';
import type { Caller } from '../../../../functions/catalog/caller.ts';
import { openActingStore } from '../../../../functions/catalog/vaults/acting-store.ts';

const caller = (token: string, expiresAt: number): Caller => ({
  ...{ token, project: 'a', user: token, roles: ['member'], expiresAt },
});
const long = caller('long', Date.now() + 3_600_000);
const brief = caller('brief', Date.now() + 600_000);

/** A store that takes only some tokens. */
async function openFor(acting: ReturnType<typeof actingCaller>, taken: ReadonlySet<string>) {
  const memory = openMemoryStore();
  const refuse = () => {
    throw new EkkoError('store-failed', 'Swift refuses the token (401).');
  };
  const refusing: ObjectStore = {
    ...{ url: memory.url, create: async () => refuse(), get: async () => refuse(), remove: async () => refuse() },
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => refuse() }) }),
  };
  const opened: string[] = [];
  const store = await openActingStore(acting, async ({ token }) => {
    opened.push(token);
    return taken.has(token) ? memory : refusing;
  });
  return { store, opened };
}

test('the store is asked with the token of whoever acts, and opened once for each', async () => {
  const acting = actingCaller(brief);
  const { store, opened } = await openFor(acting, new Set(['brief', 'long']));
  await store.create('a', [Buffer.from('x')]);
  acting.offer(long);
  expect((await store.get('a')).toString()).toBe('x');
  expect(await Array.fromAsync(store.list(''))).toEqual([{ key: 'a', size: 1 }]);
  await store.remove(['a']);
  expect(opened).toEqual(['brief', 'long']);
});

test.each<[name: string, ask: (store: ObjectStore) => Promise<unknown>]>([
  ['create', (store) => store.create('a', [])],
  ['get', (store) => store.get('a')],
  ['list', (store) => Array.fromAsync(store.list(''))],
  ['remove', (store) => store.remove(['a'])],
])('a token that is refused at %s gives way to one that came by', async (_, ask) => {
  const acting = actingCaller(long);
  const { store } = await openFor(acting, new Set(['brief']));
  acting.offer(brief);
  await expect(ask(store)).rejects.toMatchObject({ code: 'store-failed' });
  expect(acting.current().token).toBe('brief');
  expect(await store.create('a', [])).toBe('created');
});

test('an object that is missing is no fault of a token', async () => {
  const acting = actingCaller(long);
  const { store } = await openFor(acting, new Set(['long']));
  acting.offer(brief);
  await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
  expect(acting.current().token).toBe('long');
});

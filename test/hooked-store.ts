import type { Verb } from '#vault/store/counted-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/** Calls `before` ahead of each call to the store, and waits for it: what others do at just that moment. */
export function openHookedStore(
  store: ObjectStore,
  before: (verb: Verb, key: string) => Promise<unknown> | undefined,
): ObjectStore {
  return {
    url: store.url,
    locking: store.locking,
    async create(key, body, options) {
      await before('create', key);
      return store.create(key, body, options);
    },
    async get(key, range) {
      await before('get', key);
      return store.get(key, range);
    },
    async *list(prefix, options) {
      await before('list', prefix);
      yield* store.list(prefix, options);
    },
    async remove(keys) {
      await before('remove', keys[0] ?? '');
      return store.remove(keys);
    },
  };
}

/** `act` once, ahead of the first call of that verb whose key begins so. */
export function onceBefore(verb: Verb, prefix: string, act: () => Promise<unknown>) {
  let done = false;
  return (called: Verb, key: string): Promise<unknown> | undefined => {
    if (done || called !== verb || !key.startsWith(prefix)) return undefined;
    done = true;
    return act();
  };
}

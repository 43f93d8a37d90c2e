import { codeOf } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { ActingCaller } from '../acting-caller.ts';
import type { Caller } from '../caller.ts';

/** A store that is asked with the token of whoever acts at the time. What it fails at may be the token's fault: that is told. */
export async function openActingStore(
  acting: Pick<ActingCaller, 'current' | 'refuse'>,
  open: (caller: Caller) => Promise<ObjectStore>,
): Promise<ObjectStore> {
  let last = { by: acting.current(), store: open(acting.current()) };
  const { url } = await last.store;
  const present = () => {
    const by = acting.current();
    if (last.by !== by) last = { by, store: open(by) };
    return last;
  };
  const suspect = (by: Caller, error: unknown) => {
    if (codeOf(error) === 'store-failed') acting.refuse(by.token);
  };
  const ask = async <T>(work: (store: ObjectStore) => Promise<T>): Promise<T> => {
    const { by, store } = present();
    try {
      return await work(await store);
    } catch (error) {
      suspect(by, error);
      throw error;
    }
  };
  return {
    url,
    create: (key, body, options) => ask((store) => store.create(key, body, options)),
    get: (key, range) => ask((store) => store.get(key, range)),
    remove: (keys) => ask((store) => store.remove(keys)),
    async *list(prefix, options) {
      const { by, store } = present();
      try {
        yield* (await store).list(prefix, options);
      } catch (error) {
        suspect(by, error);
        throw error;
      }
    },
  };
}

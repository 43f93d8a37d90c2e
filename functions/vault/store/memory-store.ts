import { EkkoError } from '../errors.ts';
import { clipRange } from './byte-range.ts';
import { checkKey, checkPrefix } from './check-key.ts';
import { NOTHING_KEPT, type ObjectStore } from './object-store.ts';

/** A store in this process's memory, for tests and models. Bytes are copied on the way in and out. */
export function openMemoryStore(): ObjectStore {
  const objects = new Map<string, Buffer>();
  return {
    url: 'memory:',

    async create(key, body) {
      if (objects.has(checkKey(key))) return 'exists';
      objects.set(key, Buffer.concat(body));
      return 'created';
    },

    async get(key, range) {
      const object = objects.get(checkKey(key));
      if (object === undefined) throw new EkkoError('object-missing', `memory:${key} is missing.`);
      const { start, end } = clipRange(range, object.length);
      const bytes = Buffer.allocUnsafeSlow(end - start);
      object.copy(bytes, 0, start, end);
      return bytes;
    },

    async *list(prefix, { after = '' } = {}) {
      checkPrefix(prefix);
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      for (const key of keys) {
        const object = objects.get(key);
        if (object !== undefined) yield { key, size: object.length };
      }
    },

    async remove(keys) {
      for (const key of keys.map(checkKey)) objects.delete(key);
      return NOTHING_KEPT;
    },
  };
}

import type { ObjectStore, StoredObject } from './object-store.ts';

/** What object stores put into one answer of a listing, and take in one bulk delete. */
const KEYS_PER_REQUEST = 1000;

export type Verb = 'create' | 'get' | 'list' | 'remove';

/** Requests as an object store counts them: a listing by pages of 1,000 keys, a removal by 1,000 keys. Failed ones count too. */
export interface RequestCount {
  readonly verb: Verb;
  /** The first part of the key: `packs`, `journal`, or `vault.json`. */
  readonly folder: string;
  readonly requests: number;
  /** Bytes of object bodies sent (create) or received (get). */
  readonly bytes: number;
}

/** A store that counts what it is asked for. */
export interface CountedStore extends ObjectStore {
  /** What has been counted since opening, or since the last `reset`: by verb, then folder. */
  counts(): RequestCount[];
  /** Requests of one verb, or all; to one top folder, or all. */
  requests(verb?: Verb, folder?: string): number;
  reset(): void;
}

/** Counts the requests that go through to `store`. */
export function openCountedStore(store: ObjectStore): CountedStore {
  const tallies = new Map<string, Tally>();
  const counts = () => [...tallies.values()].map((tally) => ({ ...tally })).sort(byVerbAndFolder);

  function tally(verb: Verb, key: string): Tally {
    const folder = key.split('/', 1)[0] ?? '';
    const at = `${verb} ${folder}`;
    const found = tallies.get(at) ?? { verb, folder, requests: 0, bytes: 0 };
    tallies.set(at, found);
    return found;
  }

  return {
    url: store.url,
    locking: store.locking,
    counts,
    requests: (verb, folder) =>
      counts()
        .filter((each) => (verb ?? each.verb) === each.verb && (folder ?? each.folder) === each.folder)
        .reduce((sum, each) => sum + each.requests, 0),
    reset: () => tallies.clear(),

    create(key, body, options) {
      const count = tally('create', key);
      count.requests++;
      count.bytes += body.reduce((sum, piece) => sum + piece.length, 0);
      return store.create(key, body, options);
    },

    async get(key, range) {
      const count = tally('get', key);
      count.requests++;
      const bytes = await store.get(key, range);
      count.bytes += bytes.length;
      return bytes;
    },

    list: (prefix, options) => countPages(store.list(prefix, options), () => tally('list', prefix).requests++),

    remove(keys) {
      for (let at = 0; at < keys.length; at += KEYS_PER_REQUEST) tally('remove', keys[at] ?? '').requests++;
      return store.remove(keys);
    },
  };
}

interface Tally {
  readonly verb: Verb;
  readonly folder: string;
  requests: number;
  bytes: number;
}

/** A page is asked for when its first key is wanted; an answer says whether it is the last. */
async function* countPages(objects: AsyncIterable<StoredObject>, countPage: () => void): AsyncGenerator<StoredObject> {
  let seen = 0;
  countPage();
  for await (const object of objects) {
    if (seen > 0 && seen % KEYS_PER_REQUEST === 0) countPage();
    seen++;
    yield object;
  }
}

function byVerbAndFolder(a: RequestCount, b: RequestCount): number {
  return a.verb.localeCompare(b.verb) || a.folder.localeCompare(b.folder);
}

import { beforeAll, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { LARGEST_RECORD } from '#vault/format/record.ts';
import { EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import { decodeState, encodeState } from '#vault/journal/state-record.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { journalKey, stateKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { committed, condemned, created, expired, keyringFrom, nameFor, plain, pointFor, started } from './histories.ts';
import { keyring, openOn, replace } from './histories-on-stores.ts';

/** 141 entries, appended one by one through the journal. */
const LENGTH = 141;

async function fill(store: ObjectStore): Promise<VaultState> {
  const vault = await openOn(store);
  await vault.append(() => created);
  for (let n = 1; n <= 69; n++) {
    await vault.append(() => started(n));
    await vault.append(() => committed(n));
  }
  await vault.append(() => expired(3));
  return vault.append(() => condemned({ points: [pointFor(3)], packs: [nameFor('pack')] }));
}

/** The keys that an opening reads. */
function watched(store: ObjectStore): { store: ObjectStore; read: Set<string> } {
  const read = new Set<string>();
  const get: ObjectStore['get'] = (key, range) => {
    read.add(key);
    return store.get(key, range);
  };
  return { read, store: { ...store, get } };
}

const original = openMemoryStore();
let head: VaultState;
beforeAll(async () => {
  head = await fill(original);
});

async function copyOf(store: ObjectStore): Promise<ObjectStore> {
  const copy = openMemoryStore();
  for (const folder of ['journal/', 'states/']) {
    for await (const { key } of store.list(folder)) await copy.create(key, [await store.get(key)]);
  }
  return copy;
}

test('a snapshot is written at every 64th entry', async () => {
  const keys: string[] = [];
  for await (const { key } of original.list('states/')) keys.push(key);
  expect(keys).toEqual([stateKey(64), stateKey(128)]);
});

test('opening reads the newest snapshot and the entries from there on only', async () => {
  const { store, read } = watched(original);
  expect(plain((await openOn(store)).state())).toEqual(plain(head));
  const entries = Array.from({ length: LENGTH - 127 + 1 }, (_, i) => journalKey(128 + i));
  expect([...read].sort()).toEqual([...entries, stateKey(128)].sort());
});

describe('a vault opens the same with', () => {
  const newest = stateKey(128);
  const flip = async (store: ObjectStore, key: string) => {
    const bytes = await store.get(key);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    await replace(store, key, bytes);
  };
  const lie = (store: ObjectStore, change: Partial<VaultState>) =>
    replace(
      store,
      stateKey(change.position ?? 128),
      encodeState(keyring.newest, { ...head, position: 128, ...change }),
    );

  test.each<[string, (store: ObjectStore) => Promise<unknown>]>([
    ['the newest snapshot missing', (store) => store.remove([newest])],
    ['every snapshot missing', (store) => store.remove([newest, stateKey(64)])],
    ['a flipped bit in the newest snapshot', (store) => flip(store, newest)],
    ['every snapshot damaged', (store) => Promise.all([newest, stateKey(64)].map((key) => flip(store, key)))],
    ['an empty snapshot', (store) => replace(store, newest, Buffer.alloc(0))],
    ['an older snapshot under a newer name', async (store) => replace(store, newest, await store.get(stateKey(64)))],
    [
      'a snapshot of another vault',
      (store) => replace(store, newest, encodeState(keyringFrom(8).newest, { ...head, position: 128 })),
    ],
    ['a snapshot of another history', (store) => lie(store, { digest: nameFor('another entry') })],
    ['a snapshot without a vault', (store) => lie(store, { vaultJson: undefined })],
    [
      'a snapshot at position 0',
      async (store) => {
        await store.remove([newest, stateKey(64)]);
        await lie(store, { ...EMPTY_STATE, vaultJson: nameFor('x') });
      },
    ],
    ['other objects among the snapshots', (store) => store.create('states/zzz', [Buffer.from('x')])],
  ])('%s', async (_, change) => {
    const store = await copyOf(original);
    await change(store);
    const vault = await openOn(store);
    expect(plain(vault.state())).toEqual(plain(head));
    expect((await vault.append(() => started(1000))).position).toBe(LENGTH + 1);
  });

  test('a store that fails to give or list snapshots', async () => {
    const failing: ObjectStore = {
      ...original,
      get: (key, range) => (key.startsWith('states/') ? Promise.reject(new Error('EIO')) : original.get(key, range)),
    };
    expect(plain((await openOn(failing)).state())).toEqual(plain(head));
    const unlisted: ObjectStore = {
      ...original,
      list: (prefix, options) => {
        if (prefix === 'states/') throw new Error('EIO');
        return original.list(prefix, options);
      },
    };
    expect(plain((await openOn(unlisted)).state())).toEqual(plain(head));
  });
});

test('a journal that has lost its last entries is not gone on with where a snapshot knows of them', async () => {
  const store = await copyOf(original);
  await store.remove(Array.from({ length: 20 }, (_, i) => journalKey(LENGTH - i)));
  await expect(openOn(store)).rejects.toMatchObject({
    code: 'journal-broken',
    message: expect.stringMatching(/ends at position 121, but the vault has seen entry 128/),
  });
});

test('a failing write of a snapshot never fails an append', async () => {
  const store = openMemoryStore();
  const refusing: ObjectStore = {
    ...store,
    create: async (key, body) => {
      if (key.startsWith('states/')) throw new EkkoError('store-failed', 'full');
      return store.create(key, body);
    },
  };
  const state = await fill(refusing);
  expect(plain((await openOn(store)).state())).toEqual({ ...(plain(state) as object), digest: state.digest });
});

test('a damaged journal entry is not hidden by a snapshot at its position', async () => {
  const store = await copyOf(original);
  await replace(store, journalKey(128), Buffer.from('rubbish'));
  await expect(openOn(store)).rejects.toMatchObject({ message: expect.stringContaining(journalKey(128)) });
});

test('a state that is too large for a record is not written', () => {
  const condemnedNames = new Set(Array.from({ length: 1000 }, (_, i) => nameFor(`${i}`)));
  const group = 'x'.repeat(LARGEST_RECORD);
  const run = { run: '20261120-191503-000001', group, disks: [], host: 'h', at: '2026-11-20T19:15:03Z', epoch: 1 };
  const huge = { ...head, condemned: condemnedNames, openRuns: new Map([[run.run, run]]) };
  expect(() => encodeState(keyring.newest, huge)).toThrow(expect.objectContaining({ code: 'bad-input' }));
});

test('a snapshot holds 100,000 condemned names in few bytes', () => {
  const names = Array.from({ length: 100_000 }, (_, i) => nameFor(`${i}`));
  const stored = encodeState(keyring.newest, {
    ...head,
    condemned: new Set(names),
    condemnedUnder: [{ epoch: 1, names: names.length }],
  });
  expect(stored.length).toBeLessThan(45 * names.length);
  expect([...decodeState(keyring, LENGTH, stored, 'It').condemned]).toEqual(names);
});

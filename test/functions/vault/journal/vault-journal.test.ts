import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { encodeEntry } from '#vault/format/journal-entry.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { createObjectJournal } from '#vault/journal/object-journal.ts';
import type { VaultJournal } from '#vault/journal/vault-journal.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentName, journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import {
  abandoned,
  committed,
  condemned,
  created,
  EVERY_TYPE,
  keyringFrom,
  keysFrom,
  manifestFor,
  plain,
  rotated,
  runFor,
  started,
} from './histories.ts';
import { chain, keyring, openOn, readAll, replace, storeOf } from './histories-on-stores.ts';

const broken = expect.objectContaining({ code: 'journal-broken' });

async function begun(store: ObjectStore): Promise<VaultJournal> {
  const vault = await openOn(store);
  await vault.append(() => created);
  return vault;
}

test('an empty journal opens at position 0', async () => {
  const vault = await openOn(openMemoryStore());
  expect(vault.state()).toMatchObject({ position: 0, vaultJson: undefined, escrow: 'missing' });
});

test('what one appends another sees after a refresh, and a third when it opens', async () => {
  const store = openMemoryStore();
  const [one, two] = [await openOn(store), await openOn(store)];
  for (const entry of EVERY_TYPE) await one.append(() => entry);
  expect(two.state().position).toBe(0);
  expect(plain(await two.refresh())).toEqual(plain(one.state()));
  expect(plain((await openOn(store)).state())).toEqual(plain(one.state()));
});

test.each([1, 16])('of 16 concurrent appenders in %i handles every entry lands exactly once', async (handles) => {
  const store = openMemoryStore();
  const first = await begun(store);
  const opened = await Promise.all(Array.from({ length: handles }, () => openOn(store)));
  const each = 8;
  await Promise.all(
    Array.from({ length: 16 }, async (_, i) => {
      for (let n = 0; n < each; n++) await opened[i % handles]?.append(() => started(i * each + n));
    }),
  );
  const state = await first.refresh();
  expect(state.position).toBe(1 + 16 * each);
  expect([...state.openRuns.keys()].sort()).toEqual(Array.from({ length: 16 * each }, (_, n) => runFor(n)).sort());
  // Read by another from the very first byte: the chain is valid.
  await store.remove([`states/${'64'.padStart(20, '0')}`, `states/${'128'.padStart(20, '0')}`]);
  expect(plain((await openOn(store)).state())).toEqual(plain(state));
});

test('calls of one handle may cross each other on a store that takes its time', async () => {
  const store = openMemoryStore();
  await begun(store);
  const slow: ObjectStore = {
    ...store,
    create: async (key, body) => {
      const answer = await store.create(key, body);
      await pause(2);
      return answer;
    },
  };
  const vault = await openOn(slow);
  const calls = Array.from({ length: 12 }, (_, n) => [vault.append(() => started(n)), vault.refresh()]).flat();
  await Promise.all(calls);
  expect([...vault.state().openRuns.keys()]).toEqual(Array.from({ length: 12 }, (_, n) => runFor(n)));
});

test('a decision is made anew when another was first', async () => {
  const store = openMemoryStore();
  const [one, two] = [await begun(store), await openOn(store)];
  await one.append(() => started(1));
  const asked: number[] = [];
  const commit = (state: { position: number }): JournalEntry => {
    asked.push(state.position);
    return committed(1);
  };
  let raced = false;
  const racing: ObjectStore = {
    ...store,
    create: async (key, body) => {
      if (!raced) {
        raced = true;
        await two.append(() => started(2));
      }
      return store.create(key, body);
    },
  };
  const state = await (await openOn(racing)).append(commit);
  expect(asked).toEqual([2, 3]);
  expect([...state.points.keys()]).toEqual([runFor(1)]);
});

test('of a commit and an abandonment only the first stands', async () => {
  const store = openMemoryStore();
  const [one, two] = [await begun(store), await openOn(store)];
  await one.append(() => started(1));
  const outcomes = await Promise.allSettled([one.append(() => committed(1)), two.append(() => abandoned(1))]);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'run-ended' } });
  expect((await one.refresh()).position).toBe(3);
});

test('a refusal by the decision is passed on, and nothing is written', async () => {
  const store = openMemoryStore();
  const vault = await begun(store);
  const refusal = new EkkoError('no-escrow', 'Not yet.');
  const refused = vault.append(() => {
    throw refusal;
  });
  await expect(refused).rejects.toBe(refusal);
  expect((await vault.append(() => started(1))).position).toBe(2);
});

test.each<[string, string, JournalEntry]>([
  ['a run that is not open', 'run-ended', committed(2)],
  ['a condemned manifest', 'condemned', committed(1)],
  ['a name with a newline', 'bad-format', committed(1, { group: 'web\n' })],
])('an entry with %s is never written', async (_, code, entry) => {
  const store = openMemoryStore();
  const vault = await begun(store);
  await vault.append(() => started(1));
  await vault.append(() => condemned({ manifests: [manifestFor(1)] }));
  await expect(vault.append(() => entry)).rejects.toMatchObject({ code });
  expect((await (await openOn(store)).refresh()).position).toBe(3);
});

/** The store whose `create` of journal position 2 goes as told, the first time. */
function withCreate(
  store: ObjectStore,
  second: (create: () => Promise<unknown>) => Promise<'created' | 'exists'>,
): ObjectStore {
  let pending = true;
  return {
    ...store,
    create: async (key, body) => {
      if (key !== journalKey(2) || !pending) return store.create(key, body);
      pending = false;
      return second(() => store.create(key, body));
    },
  };
}

test('an entry whose answer was lost is recognised', async () => {
  const store = openMemoryStore();
  await begun(store);
  const vault = await openOn(
    withCreate(store, async (create) => {
      await create();
      throw new EkkoError('store-failed', 'The connection broke.');
    }),
  );
  expect((await vault.append(() => started(1))).position).toBe(2);
  expect((await vault.append(() => committed(1))).position).toBe(3);
});

test('an entry that a repeated request met as its own is recognised', async () => {
  const store = openMemoryStore();
  await begun(store);
  const vault = await openOn(
    withCreate(store, async (create) => {
      await create();
      return 'exists';
    }),
  );
  expect((await vault.append(() => started(1))).position).toBe(2);
});

test('a position that is said to be taken, and cannot be read yet, is tried again', async () => {
  const store = openMemoryStore();
  await begun(store);
  const vault = await openOn(withCreate(store, async () => 'exists'));
  expect((await vault.append(() => started(1))).position).toBe(2);
});

test('an entry whose answer was lost is recognised behind those that others appended since', async () => {
  const store = openMemoryStore();
  const other = await begun(store);
  const vault = await openOn(
    withCreate(store, async (create) => {
      await create();
      await other.append(() => started(2));
      throw new EkkoError('store-failed', 'The connection broke.');
    }),
  );
  const state = await vault.append(() => started(1));
  expect([...state.openRuns.keys()]).toEqual([runFor(1), runFor(2)]);
});

test('after a failure whose position another took the entry is appended behind it', async () => {
  const store = openMemoryStore();
  const other = await begun(store);
  const vault = await openOn(
    withCreate(store, async () => {
      await other.append(() => started(2));
      throw new EkkoError('store-failed', 'The connection broke.');
    }),
  );
  const state = await vault.append(() => started(1));
  expect([...state.openRuns.keys()]).toEqual([runFor(2), runFor(1)]);
});

test('a failed create is an error, and the handle goes on', async () => {
  const store = openMemoryStore();
  await begun(store);
  const full = new EkkoError('store-failed', 'The disk is full.');
  const vault = await openOn(withCreate(store, () => Promise.reject(full)));
  await expect(vault.append(() => started(1))).rejects.toBe(full);
  expect((await vault.append(() => started(1))).position).toBe(2);
});

test('a vault cannot be created twice by two who race', async () => {
  const store = openMemoryStore();
  const vaults = [await openOn(store), await openOn(store)];
  const outcomes = await Promise.allSettled(vaults.map((vault) => vault.append(() => created)));
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

const HISTORY = [created, started(1), started(2), committed(1), abandoned(2), started(3)];

test('every entry that is damaged, cut, swapped or repeated breaks the journal, wherever it is', async () => {
  const stored = chain(HISTORY);
  for (const [i, bytes] of stored.entries()) {
    const flipped = Buffer.from(bytes);
    flipped[70] = (flipped[70] ?? 0) ^ 1;
    const other = stored[(i + 1) % stored.length] ?? bytes;
    for (const changed of [flipped, bytes.subarray(0, 40), Buffer.alloc(0), bytes.subarray(0, -1), other]) {
      await expect(openOn(await storeOf(stored.with(i, changed)))).rejects.toEqual(broken);
    }
  }
});

test('two entries that changed places break the journal', async () => {
  const [a, b, c, ...rest] = chain(HISTORY);
  const swapped = [a, c, b, ...rest].filter((bytes) => bytes !== undefined);
  await expect(openOn(await storeOf(swapped))).rejects.toEqual(broken);
});

test('an entry that is there twice breaks the journal', async () => {
  const stored = chain(HISTORY);
  await expect(openOn(await storeOf([...stored, ...stored.slice(-1)]))).rejects.toEqual(broken);
});

test('a missing entry breaks the journal', async () => {
  const store = await storeOf(chain(HISTORY));
  await store.remove([journalKey(3)]);
  await expect(openOn(store)).rejects.toEqual(broken);
});

test('an entry of another history of the same vault is a fork', async () => {
  const [one, other] = [chain(HISTORY), chain(HISTORY)];
  for (let at = 0; at < one.length; at++) {
    const forked = one.map((bytes, i) => (i >= at ? (other[i] ?? bytes) : bytes));
    if (at === 0) expect((await openOn(await storeOf(forked))).state().position).toBe(HISTORY.length);
    else
      await expect(openOn(await storeOf(forked))).rejects.toMatchObject({
        code: 'journal-broken',
        message: /two histories/,
      });
  }
});

test('a fork that comes while the journal is open is found, and the state stays', async () => {
  const store = openMemoryStore();
  const vault = await begun(store);
  const foreign = chain(HISTORY)[1] ?? Buffer.alloc(0);
  await store.create(journalKey(2), [foreign]);
  const before = vault.state();
  await expect(vault.refresh()).rejects.toEqual(broken);
  await expect(vault.append(() => started(1))).rejects.toEqual(broken);
  expect(vault.state()).toBe(before);
});

test('an entry with a valid MAC that no Ekko would write breaks the journal', async () => {
  const stored = chain([created, started(1), committed(1), committed(1)]);
  await expect(openOn(await storeOf(stored))).rejects.toMatchObject({ code: 'journal-broken', message: /has ended/ });
});

test('an entry of a newer Ekko is refused as such', async () => {
  const [first] = chain([created]);
  const next = { type: 'time-turned-back', at: '' } as unknown as JournalEntry;
  const bytes = encodeEntry(keyring.newest, 2, contentName([first ?? Buffer.alloc(0)]), next);
  await expect(openOn(await storeOf([first ?? Buffer.alloc(0), bytes]))).rejects.toMatchObject({
    code: 'bad-format',
    message: expect.stringMatching(/journal\/0+2 in memory: .*newer/),
  });
});

test('a wrong key opens no journal', async () => {
  const store = await storeOf(chain(HISTORY));
  await expect(openOn(store, keyringFrom(8))).rejects.toEqual(broken);
  await expect(openOn(store, keyringFrom(7, 2))).rejects.toMatchObject({ code: 'wrong-key' });
});

test('from the beginning of an epoch on entries are under its keys, and a snapshot of it is there', async () => {
  const store = openMemoryStore();
  const vault = await begun(store);
  const other = await openOn(store);
  await vault.append(() => rotated(2, 1, 2));
  await other.append(() => started(1));
  const epochs = await Promise.all([1, 2, 3].map(async (at) => (await store.get(journalKey(at))).readUInt32LE(60)));
  expect(epochs).toEqual([1, 1, 2]);
  expect((await store.get('states/00000000000000000002')).readUInt32LE(12)).toBe(2);
  expect(plain((await openOn(store)).state())).toEqual(plain(other.state()));
});

test.each([1, 3])('an entry under epoch %i where epoch 2 is in force breaks the journal', async (epoch) => {
  const store = openMemoryStore();
  const vault = await begun(store);
  const { digest } = await vault.append(() => rotated(2, 1, 2));
  await store.create(journalKey(3), [encodeEntry(keysFrom(7, epoch), 3, digest, started(1))]);
  await expect(vault.refresh()).rejects.toMatchObject({ code: 'journal-broken', message: /epoch 2 is in force/ });
  await expect(openOn(store)).rejects.toEqual(broken);
});

test('a keyring that cannot follow into a new epoch says so, and the state stays as it was', async () => {
  const store = openMemoryStore();
  const vault = await begun(store);
  const stuck = await openOn(store, keyringFrom(7));
  await vault.append(() => rotated(2, 1, 2));
  await expect(stuck.refresh()).rejects.toMatchObject({ code: 'wrong-key', message: /open the vault again/ });
  expect(stuck.state().position).toBe(1);
});

test('nothing of an entry can be read in the store', async () => {
  const store = openMemoryStore();
  await begun(store);
  const stored = (await readAll(createObjectJournal(store))).map(([, bytes]) => bytes).join();
  expect(stored).not.toContain('vault-created');
});

test('an entry put back makes the journal whole again', async () => {
  const stored = chain(HISTORY);
  const store = await storeOf(stored.with(2, Buffer.from('rubbish')));
  await expect(openOn(store)).rejects.toMatchObject({ code: 'journal-broken' });
  await replace(store, journalKey(3), stored[2] ?? Buffer.alloc(0));
  expect((await openOn(store)).state().position).toBe(HISTORY.length);
});

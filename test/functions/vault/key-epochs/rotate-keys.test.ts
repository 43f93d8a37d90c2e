import { describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { decodeEpochDescription } from '#vault/format/epoch-description.ts';
import { openSecrets } from '#vault/format/key-epoch.ts';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { readPage, writePage } from '#vault/records.ts';
import { abandonRun, startRun, ticketFor } from '#vault/runs.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault } from '#vault/vault.ts';
import { openFaultyStore } from '../../../faulty-store.ts';
import { addAs, copyOf, keysOf, NOW, newPerson, newSharedVault, rotateAs } from './vaults.ts';

const RUN = { group: 'web', disks: ['vda'], host: 'h', process: 'p' };
const rotation = (...remove: string[]) => ({ remove, noEscrow: false, now: NOW });
const refusal = (work: Promise<unknown>) => work.then(() => undefined, codeOf);

test('after a rotation new objects are under the new epoch, and all recipients read both', async () => {
  const { store, alice, bob } = await newSharedVault();
  const vault = await alice.open(store);
  const old = await writePage(vault, []);
  const state = await rotateKeys(vault, rotation());
  expect(state.epochs.map(({ epoch, position }) => [epoch, position])).toEqual([
    [1, 1],
    [2, 3],
  ]);
  const fresh = await writePage(vault, []);
  for (const person of [alice, bob]) {
    const opened = await person.open(store);
    expect(opened.keyring.newest.epoch).toBe(2);
    for (const page of [old, fresh]) expect(await readPage(opened, page)).toEqual([]);
  }
  expect((await store.get(`pages/${fresh.slice(0, 2)}/${fresh}`)).readUInt32LE(12)).toBe(2);
});

test('whoever has the vault open learns of it when he next reads the journal', async () => {
  const { store, alice, bob } = await newSharedVault();
  const late = await bob.open(store);
  const page = await writePage(await rotateAs(alice, store), []);
  expect(late.keyring.newest.epoch).toBe(1);
  await expect(readPage(late, page)).rejects.toMatchObject({ code: 'wrong-key', message: /open the vault again/ });
  await late.journal.refresh();
  expect(late.keyring.newest.epoch).toBe(2);
  expect(await readPage(late, page)).toEqual([]);
  expect(ticketFor(late, '20261120-191503-000001', 0).epoch).toBe(2);
});

test('an append that a rotation overtook is written again under the new epoch', async () => {
  const { store, alice, bob } = await newSharedVault();
  const late = await bob.open(store);
  await rotateAs(alice, store);
  const run = await startRun(late, RUN, NOW);
  expect((await alice.open(store)).journal.state().openRuns.get(run)).toMatchObject({ epoch: 2 });
});

test('a vault that was just made says that it has to be opened again', async () => {
  const alice = newPerson();
  const store = openMemoryStore();
  const made = await createVault(store, { recipients: [alice.recipient], noEscrow: true, now: NOW });
  expect(await refusal(rotateKeys(made, rotation()))).toBe('bad-input');
  await rotateAs(alice, store);
  await expect(made.journal.refresh()).rejects.toMatchObject({ code: 'wrong-key', message: /open the vault again/ });
});

test('who is removed opens nothing any more, and is told since when and who can', async () => {
  const { store, alice, bob } = await newSharedVault();
  const open = await bob.open(store);
  await rotateAs(alice, store, bob);
  const words = new RegExp(
    `^Key ${bob.fingerprint} was removed from vault .* on 2026-11-20, .*use ${alice.fingerprint}`,
  );
  const removed = { code: 'wrong-key', message: expect.stringMatching(words) };
  await expect(bob.open(store)).rejects.toMatchObject(removed);
  await expect(open.journal.refresh()).rejects.toMatchObject(removed);
  expect(await refusal(startRun(open, RUN, NOW))).toBe('wrong-key');
  const state = (await alice.open(store)).journal.state();
  expect([...state.recipients.keys()]).toEqual([alice.fingerprint]);
  expect(state.removed.get(bob.fingerprint)).toMatchObject({ lastEpoch: 1, kind: 'escrow' });
});

test('who was removed can be added again', async () => {
  const { store, alice, bob } = await newSharedVault();
  await rotateAs(alice, store, bob);
  await addAs(alice, store, bob);
  expect((await bob.open(store)).journal.state().recipients.size).toBe(2);
  await rotateAs(bob, store);
  expect((await alice.open(store)).keyring.newest.epoch).toBe(3);
});

test('five rotations later the first objects and the last are read by all who may', async () => {
  const { store, alice, bob } = await newSharedVault();
  const people = [alice, bob];
  const pages = [await writePage(await alice.open(store), [])];
  for (let epoch = 2; epoch <= 6; epoch++) {
    const person = newPerson(`person ${epoch}`);
    const by = people[epoch % people.length] ?? alice;
    await addAs(by, store, person);
    people.push(person);
    pages.push(await writePage(await rotateAs(by, store), []));
  }
  for (const person of people) {
    const vault = await person.open(store);
    expect(vault.keyring.newest.epoch).toBe(6);
    for (const page of pages) expect(await readPage(vault, page)).toEqual([]);
  }
}, 60_000);

test('one key object gives the root keys of all epochs before its own', async () => {
  const { store, alice, bob } = await newSharedVault();
  await rotateAs(alice, store);
  await rotateAs(bob, store);
  const vault = await rotateAs(alice, store);
  const [key = ''] = await keysOf(store, 'keys/0004/');
  const { description } = decodeEpochDescription(await store.get(key), key);
  const { earlier } = openSecrets(vault.keyring.newest, description.epoch, key);
  expect(earlier).toHaveLength(3);
  expect(earlier).toEqual(vault.holder?.rootKeys().slice(0, 3));
});

describe('a rotation is refused', () => {
  test('that removes nobody known, the key in use, or all but one', async () => {
    const { store, alice, bob } = await newSharedVault();
    const vault = await alice.open(store);
    expect(await refusal(rotateKeys(vault, rotation('0123456789abcdef')))).toBe('bad-input');
    expect(await refusal(rotateKeys(vault, rotation(alice.fingerprint)))).toBe('bad-input');
    expect(vault.journal.state().escrow).toBe('waived');
    expect(await refusal(rotateKeys(vault, rotation(bob.fingerprint)))).toBeUndefined();
  });

  test('that leaves one key, unless that is said aloud; the vault then needs no escrow', async () => {
    const [alice, bob] = [newPerson(), newPerson(undefined, 'escrow')];
    const store = openMemoryStore();
    await createVault(store, { recipients: [alice.recipient, bob.recipient], noEscrow: false, now: NOW });
    const vault = await alice.open(store);
    await vault.journal.append(() => ({ type: 'escrow-confirmed', recipient: bob.fingerprint, at: NOW.toISOString() }));
    expect(await refusal(rotateKeys(vault, rotation(bob.fingerprint)))).toBe('no-escrow');
    expect(await keysOf(store, 'keys/')).toEqual([]);
    const state = await rotateKeys(vault, { ...rotation(bob.fingerprint), noEscrow: true });
    expect([state.escrow, state.epochs.length]).toEqual(['waived', 2]);
  });
});

/** The store, whose first create of a key object is followed by what others do in the meantime. */
function withMeanwhile(store: ObjectStore, act: () => Promise<unknown>): ObjectStore {
  let pending = true;
  return {
    ...store,
    create: async (key, body, options) => {
      const answer = await store.create(key, body, options);
      if (key.startsWith('keys/') && pending) {
        pending = false;
        await act();
      }
      return answer;
    },
  };
}

test('entries of others that come in between only make it take longer, and no key object is left over', async () => {
  const { store, alice, bob } = await newSharedVault();
  const other = await bob.open(store);
  const vault = await rotateAs(
    alice,
    withMeanwhile(store, () => startRun(other, RUN, NOW)),
  );
  expect(vault.journal.state().epochs.at(-1)).toMatchObject({ epoch: 2, position: 4 });
  const [key = '', ...others] = await keysOf(store, 'keys/');
  expect(others).toEqual([]);
  expect(JSON.parse((await store.get(key)).toString())).toMatchObject({ start: 4 });
  expect((await bob.open(store)).journal.state().openRuns.size).toBe(1);
});

test('of two rotations at once one is done, and the other says that it was not', async () => {
  const { store, alice, bob } = await newSharedVault();
  const slower = withMeanwhile(store, () => rotateAs(bob, store));
  await expect(rotateAs(alice, slower)).rejects.toMatchObject({ code: 'busy', message: /epoch 1 ended, and 2 began/ });
  const vault = await alice.open(store);
  expect(vault.journal.state().epochs).toHaveLength(2);
  expect(await keysOf(store, 'keys/')).toHaveLength(1);
  const outcomes = await Promise.all([alice, bob].map((person) => refusal(rotateAs(person, store))));
  expect(outcomes.sort()).toEqual(['busy', undefined]);
});

test('a recipient that is added while the key is rotated opens the new epoch', async () => {
  const { store, alice, bob } = await newSharedVault();
  const carol = newPerson('carol');
  await addAs(
    alice,
    withMeanwhile(store, () => rotateAs(bob, store)),
    carol,
  );
  expect((await carol.open(store)).keyring.newest.epoch).toBe(2);
  expect(await keysOf(store, 'keys/')).toHaveLength(2);
});

describe('a crash', () => {
  test.each(['crash-before', 'crash-after'] as const)(
    '%s any write of a rotation leaves a vault that all open and rotate',
    async (does) => {
      let call = 1;
      for (let done = false; !done; call++) {
        const { store, alice, bob } = await newSharedVault();
        const page = await writePage(await alice.open(store), []);
        const faulty = openFaultyStore(store, [{ on: 'write', call, does }]);
        await rotateAs(alice, faulty).catch(() => undefined);
        done = !faulty.crashed();
        for (const person of [alice, bob]) expect(await readPage(await person.open(store), page)).toEqual([]);
        const before = (await alice.open(store)).journal.state().epochs.length;
        await rotateAs(bob, store);
        expect((await alice.open(store)).keyring.newest.epoch).toBe(before + 1);
      }
      // The key object, the entry, the snapshot.
      expect(call - 1).toBe(4);
    },
  );

  test.each(['crash-before', 'crash-after'] as const)(
    '%s any write of an addition leaves a vault to which it can be made',
    async (does) => {
      for (let [call, done] = [1, false]; !done; call++) {
        const { store, alice } = await newSharedVault();
        const carol = newPerson('carol');
        const faulty = openFaultyStore(store, [{ on: 'write', call, does }]);
        await addAs(alice, faulty, carol).catch(() => undefined);
        done = !faulty.crashed();
        const { recipients } = (await alice.open(store)).journal.state();
        if (!recipients.has(carol.fingerprint)) await addAs(alice, store, carol);
        await rotateAs(carol, store);
        expect((await alice.open(store)).journal.state().recipients.size).toBe(3);
      }
    },
  );

  test('between key object and entry lets nobody rotate himself out', async () => {
    const { store, alice } = await newSharedVault();
    const carol = newPerson('carol');
    const faulty = openFaultyStore(store, [{ on: 'create', call: 2, does: 'crash-before' }]);
    await addAs(alice, faulty, carol).catch(() => undefined);
    expect(await refusal(rotateAs(carol, store))).toBe('bad-input');
  });

  test('of an answer that was lost leaves one epoch', async () => {
    const { store, alice, bob } = await newSharedVault();
    const faulty = openFaultyStore(store, [{ on: 'create', call: 1, does: 'lose-answer', under: 'journal/' }]);
    await rotateAs(alice, faulty);
    expect((await bob.open(store)).journal.state().epochs).toHaveLength(2);
  });
});

test('a run of an older epoch is open under it until it ends', async () => {
  const { store, alice } = await newSharedVault();
  const vault = await alice.open(store);
  const run = await startRun(vault, RUN, NOW);
  await rotateAs(alice, store);
  expect((await vault.journal.refresh()).openRuns.get(run)?.epoch).toBe(1);
  await abandonRun(vault, run, 'enough', NOW);
  expect(vault.journal.state().openRuns.size).toBe(0);
});

test('a new recipient opens a vault whose snapshots and entries are of many epochs, without reading them all', async () => {
  const { store, alice } = await newSharedVault();
  const vault = await alice.open(store);
  for (let n = 0; n < 130; n++) await startRun(vault, RUN, NOW);
  await rotateAs(alice, store);
  const carol = newPerson('carol');
  await addAs(alice, store, carol);
  const read: string[] = [];
  const watching: ObjectStore = {
    ...store,
    get: (key, range) => {
      read.push(key);
      return store.get(key, range);
    },
  };
  expect((await carol.open(watching)).journal.state().openRuns.size).toBe(130);
  expect(read.filter((key) => key.startsWith('journal/')).length).toBeLessThan(10);
  expect(read.filter((key) => key.startsWith('states/'))).toHaveLength(1);
});

test('a vault whose store hides its key objects from listings opens by the journal', async () => {
  const { store, alice, bob } = await newSharedVault();
  await rotateAs(bob, store);
  await rotateAs(bob, store);
  const copy = await copyOf(store);
  const nothing = async function* () {};
  const hiding: ObjectStore = {
    ...copy,
    list: (prefix, options) => (prefix === 'keys/' ? nothing() : copy.list(prefix, options)),
  };
  expect((await alice.open(hiding)).keyring.newest.epoch).toBe(3);
});

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { encodeEpochDescription } from '#vault/format/epoch-description.ts';
import { encodeEntry } from '#vault/format/journal-entry.ts';
import { openSecrets } from '#vault/format/key-epoch.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { encodeState } from '#vault/journal/state-record.ts';
import { sealEpoch } from '#vault/key-epochs/seal-epoch.ts';
import { deriveEpochKeys, type EpochKeys } from '#vault/keys/epoch-keys.ts';
import { readPage, writePage } from '#vault/records.ts';
import { startRun } from '#vault/runs.ts';
import { contentName, epochKey, journalKey, stateKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { flipped, replaceObject } from '../../../damage.ts';
import { addAs, keysOf, NOW, newPerson, newSharedVault, type Person, rotateAs } from './vaults.ts';

const AT = NOW.toISOString();
const RUN = { group: 'web', disks: ['vda'], host: 'h', process: 'p' };

let store: ObjectStore;
let alice: Person;
let bob: Person;
beforeEach(async () => {
  ({ store, alice, bob } = await newSharedVault());
});

/** A key object that wraps a root key of the forger's choice to somebody. */
async function forge(vault: string, epoch: number, to: Person, start?: number, earlier: readonly Uint8Array[] = []) {
  const rootKey = randomBytes(32);
  const keys = deriveEpochKeys(rootKey, vault, epoch);
  const recipients = [{ ...to.recipient, since: AT }];
  const sealed = await sealEpoch({ keys, rootKey, recipients, earlier });
  const description = { format: 1, vault, ...(start === undefined ? {} : { start }), epoch: sealed } as const;
  const bytes = encodeEpochDescription(keys, description);
  const name = contentName([bytes]);
  await store.create(epochKey(epoch, name), [bytes]);
  return { keys, rootKey, name };
}

/** Puts an entry behind the last one. */
async function forgeEntry({ journal }: Vault, keys: EpochKeys, entry: JournalEntry, behind = 0): Promise<void> {
  const { position, digest } = journal.state();
  const at = position + 1 + behind;
  const previous = behind === 0 ? digest : contentName([await store.get(journalKey(at - 1))]);
  await store.create(journalKey(at), [encodeEntry(keys, at, previous, entry)]);
}

const forgeState = (keys: EpochKeys, state: VaultState) =>
  store.create(stateKey(state.position), [encodeState(keys, state)]);

/** All that Alice sees, and under which key she would write. */
async function seenByAlice() {
  const vault = await alice.open(store);
  const { position, epochs, openRuns, recipients } = vault.journal.state();
  return { key: vault.keyring.newest.sealKey.export().toString('hex'), position, epochs, openRuns, recipients };
}

describe('who can write to the store but has no key', () => {
  test('cannot begin an epoch, even one that wraps a key to a recipient', async () => {
    const before = await seenByAlice();
    const { id, journal } = await alice.open(store);
    for (const start of [undefined, 1, journal.state().position, journal.state().position + 1]) {
      await forge(id, 2, alice, start);
    }
    await forge(id, 1, alice);
    expect(await seenByAlice()).toEqual(before);
  });

  test('cannot make himself a recipient', async () => {
    const mallory = newPerson();
    const { id } = await alice.open(store);
    await forge(id, 1, mallory);
    await forge(id, 2, mallory, 3);
    await expect(mallory.open(store)).rejects.toMatchObject({ code: 'damaged' });
    const { recipients } = await seenByAlice();
    expect(recipients.has(mallory.fingerprint)).toBe(false);
    await expect(newPerson().open(store)).rejects.toMatchObject({ code: 'wrong-key' });
  });

  test('cannot keep a vault from opening by what he puts among its key objects', async () => {
    await rotateAs(bob, store);
    const before = await seenByAlice();
    const junk = randomBytes(100);
    for (const key of [
      epochKey(2, contentName([junk])),
      epochKey(2, 'f'.repeat(64)),
      'keys/x',
      `keys/2/${'f'.repeat(64)}`,
    ]) {
      await store.create(key, [junk]);
    }
    const [real = ''] = await keysOf(store, 'keys/0002/');
    await store.create(epochKey(7, contentName([await store.get(real)])), [await store.get(real)]);
    await forge('f'.repeat(32), 3, alice, 4);
    expect(await seenByAlice()).toEqual(before);
  });

  test('is told of, where he puts there more than anybody could look at', async () => {
    const junk = Buffer.alloc(1024 * 1024, 32);
    for (let n = 0; n < 33; n++) await store.create(epochKey(2, n.toString(16).padStart(64, '0')), [junk]);
    await expect(alice.open(store)).rejects.toMatchObject({
      code: 'bad-format',
      message: /somebody else writes there/,
    });
  });

  test('does not learn a public key from the vault', async () => {
    await addAs(alice, store, newPerson('carol'));
    await rotateAs(alice, store);
    for (const { identity } of [alice, bob]) {
      const shapes = (['hex', 'base64', 'base64url', 'latin1'] as const).map((form) =>
        identity.publicKey.toString(form),
      );
      for await (const { key } of store.list('')) {
        const bytes = await store.get(key);
        for (const form of ['latin1', 'utf8'] as const) {
          expect(shapes.some((shape) => bytes.toString(form).includes(shape.replace(/=+$/, '')))).toBe(false);
        }
      }
    }
  });
});

describe('who was removed, kept the old keys, and can add objects to the store', () => {
  let eve: Person;
  let old: { readonly keys: EpochKeys; readonly root: Buffer; readonly state: VaultState };
  let before: Awaited<ReturnType<typeof seenByAlice>>;

  beforeEach(async () => {
    eve = newPerson('eve');
    const vault = await addAs(alice, store, eve);
    await startRun(vault, RUN, NOW);
    const hers = await eve.open(store);
    const root = hers.holder?.rootKeys()[0] ?? Buffer.alloc(0);
    old = { keys: hers.keyring.newest, root, state: hers.journal.state() };
    // She could always read the public keys of the others.
    expect(openSecrets(old.keys, hers.description.epoch, 'It').publicKeys.size).toBe(2);
    await rotateAs(alice, store, eve);
    await startRun(await alice.open(store), RUN, NOW);
    before = await seenByAlice();
  });

  test('reads nothing of the new epoch', async () => {
    const page = await writePage(await alice.open(store), []);
    await expect(eve.open(store)).rejects.toMatchObject({ code: 'wrong-key' });
    const reader = { store, keyring: { newest: old.keys, epoch: () => old.keys, begin: async () => undefined } };
    await expect(readPage(reader, page)).rejects.toMatchObject({ code: 'damaged' });
    for await (const { key } of store.list('keys/0002/')) {
      const object = await store.get(key);
      expect(object.toString()).not.toContain(eve.fingerprint);
    }
  });

  test('cannot lead anybody into an epoch of her own, not even by entries behind the last one', async () => {
    const vault = await alice.open(store);
    const { position } = vault.journal.state();
    const hers = await forge(vault.id, 2, alice, position + 1, [old.root]);
    expect(await seenByAlice()).toEqual(before);
    const recipients = [alice.fingerprint];
    await forgeEntry(vault, old.keys, { type: 'epoch-started', epoch: 2, key: hers.name, recipients, at: AT });
    await expect(alice.open(store)).rejects.toMatchObject({
      code: 'journal-broken',
      message: /key epoch 1, but epoch 2/,
    });
    await expect(vault.journal.refresh()).rejects.toMatchObject({ code: 'journal-broken' });
  });

  test('cannot do so by a state at her entry either', async () => {
    const vault = await alice.open(store);
    const state = vault.journal.state();
    const position = state.position + 1;
    const hers = await forge(vault.id, 2, alice, position, [old.root]);
    const recipients = [alice.fingerprint];
    await forgeEntry(vault, old.keys, { type: 'epoch-started', epoch: 2, key: hers.name, recipients, at: AT });
    const digest = contentName([await store.get(journalKey(position))]);
    const epochs = [...state.epochs.slice(0, 1), { epoch: 2, position, at: AT, key: hers.name }];
    await forgeState(hers.keys, { ...state, position, digest, epochs });
    await expect(alice.open(store)).rejects.toMatchObject({ code: 'journal-broken' });
  });

  test('cannot lead anybody into a later epoch of her own', async () => {
    const vault = await alice.open(store);
    const { position } = vault.journal.state();
    const second = await forge(vault.id, 2, alice, position + 1, [old.root]);
    const third = await forge(vault.id, 3, alice, position + 2, [old.root, second.rootKey]);
    await forgeState(third.keys, { ...vault.journal.state(), openRuns: new Map() });
    expect(await seenByAlice()).toEqual(before);
  });

  test('cannot pass off a state of her own as the vault’s', async () => {
    const { position, digest } = (await alice.open(store)).journal.state();
    await store.remove(await keysOf(store, 'states/'));
    await forgeState(old.keys, { ...old.state, openRuns: new Map() });
    await forgeState(old.keys, { ...old.state, position, digest, openRuns: new Map() });
    expect(await seenByAlice()).toEqual(before);
  });

  test('cannot do so either where the store hides the key objects from a listing', async () => {
    await store.remove(await keysOf(store, 'states/'));
    await forgeState(old.keys, { ...old.state, openRuns: new Map() });
    const nothing = async function* () {};
    const hiding: ObjectStore = {
      ...store,
      list: (prefix, options) => (prefix === 'keys/' ? nothing() : store.list(prefix, options)),
    };
    const { openRuns } = (await alice.open(hiding)).journal.state();
    expect(openRuns).toEqual(before.openRuns);
    expect(openRuns.size).toBe(2);
  });

  test('cannot write an entry', async () => {
    const vault = await alice.open(store);
    await forgeEntry(vault, old.keys, { type: 'escrow-waived', at: AT });
    await expect(vault.journal.refresh()).rejects.toMatchObject({ code: 'journal-broken' });
    await expect(alice.open(store)).rejects.toMatchObject({ code: 'journal-broken' });
  });
});

describe('a key object that the journal names', () => {
  let name: string;
  beforeEach(async () => {
    await rotateAs(alice, store);
    [name = ''] = await keysOf(store, 'keys/');
  });

  test('and that is missing is asked for', async () => {
    await store.remove([name]);
    await expect(alice.open(store)).rejects.toMatchObject({
      code: 'object-missing',
      message: expect.stringContaining(name),
    });
  });

  test('opens the vault again when it is put back', async () => {
    const bytes = await store.get(name);
    await store.remove([name]);
    await alice.open(store).catch(() => undefined);
    await store.create(name, [bytes]);
    expect((await alice.open(store)).keyring.newest.epoch).toBe(2);
  });

  test('and in which a bit flipped is said to be damaged, whichever it is', async () => {
    const bytes = await store.get(name);
    for (let at = 0; at < bytes.length; at += 41) {
      await replaceObject(store, name, flipped(bytes, at));
      expect([at, await alice.open(store).catch(codeOf)]).toEqual([at, 'damaged']);
    }
  });
});

test('a flipped bit in vault.json is noticed, or changes nothing', async () => {
  const before = await seenByAlice();
  const bytes = await store.get('vault.json');
  for (let at = 0; at < bytes.length; at += 7) {
    await replaceObject(store, 'vault.json', flipped(bytes, at));
    const outcome = await seenByAlice().catch(codeOf);
    if (typeof outcome === 'string') expect(['damaged', 'bad-format', 'wrong-key']).toContain(outcome);
    else expect(outcome).toEqual(before);
  }
});

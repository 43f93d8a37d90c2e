import { addRecipient } from '#vault/key-epochs/add-recipient.ts';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { fingerprintOf, type Identity, newIdentity } from '#vault/keys/identity.ts';
import type { NewRecipient } from '#vault/keys/recipients.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';

export const NOW = new Date('2026-11-20T19:15:03Z');

/** Somebody with a key of his own. */
export interface Person {
  readonly identity: Identity;
  readonly privateKey: Buffer;
  readonly fingerprint: string;
  readonly recipient: NewRecipient;
  open(store: ObjectStore): Promise<Vault>;
}

export function newPerson(label?: string, kind: NewRecipient['kind'] = 'key-file'): Person {
  const { identity, privateKey } = newIdentity();
  const { publicKey } = identity;
  return {
    ...{ identity, privateKey, fingerprint: fingerprintOf(publicKey) },
    recipient: { kind, publicKey, ...(label === undefined ? {} : { label }) },
    open: (store) => openVault(store, { origin: 'test', identity: () => Promise.resolve(identity) }),
  };
}

/** A vault in memory that Alice and Bob can open. */
export async function newSharedVault() {
  const [alice, bob] = [newPerson('laptop'), newPerson(undefined, 'escrow')];
  const store = openMemoryStore();
  await createVault(store, { recipients: [alice.recipient, bob.recipient], noEscrow: true, now: NOW });
  return { store, alice, bob };
}

/** Opens the vault as `by` and rotates its key. */
export async function rotateAs(by: Person, store: ObjectStore, ...remove: readonly Person[]): Promise<Vault> {
  const vault = await by.open(store);
  await rotateKeys(vault, { remove: remove.map(({ fingerprint }) => fingerprint), noEscrow: false, now: NOW });
  return vault;
}

export async function addAs(by: Person, store: ObjectStore, person: Person): Promise<Vault> {
  const vault = await by.open(store);
  await addRecipient(vault, person.recipient, NOW);
  return vault;
}

export async function keysOf(store: ObjectStore, folder: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(folder))).map(({ key }) => key);
}

/** A store with the same objects. */
export async function copyOf(store: ObjectStore): Promise<ObjectStore> {
  const copy = openMemoryStore();
  for await (const { key } of store.list('')) await copy.create(key, [await store.get(key)]);
  return copy;
}

import { encodeEntry, NO_DIGEST } from '#vault/format/journal-entry.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { Journal } from '#vault/journal/journal.ts';
import { createObjectJournal } from '#vault/journal/object-journal.ts';
import { openVaultJournal, type VaultJournal } from '#vault/journal/vault-journal.ts';
import type { Keyring } from '#vault/keys/epoch-keys.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentName, journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { growingKeyring, keyringFrom, keysFrom } from './histories.ts';

export const keyring = keyringFrom(7);

export function openOn(store: ObjectStore, keys: Keyring = growingKeyring(7)): Promise<VaultJournal> {
  return openVaultJournal({ journal: createObjectJournal(store), store, keyring: keys });
}

/** The stored bytes of a history, chained from the beginning. */
export function chain(entries: readonly JournalEntry[], keys: Keyring = keyring): Buffer[] {
  let digest = NO_DIGEST;
  let under = keys.newest;
  return entries.map((entry, i) => {
    const bytes = encodeEntry(under, i + 1, digest, entry);
    digest = contentName([bytes]);
    if (entry.type === 'epoch-started') under = keysFrom(7, entry.epoch);
    return bytes;
  });
}

/** A memory store with these bytes as its journal, from position 1. */
export async function storeOf(journal: readonly Uint8Array[]): Promise<ObjectStore> {
  const store = openMemoryStore();
  for (const [i, bytes] of journal.entries()) await store.create(journalKey(i + 1), [bytes]);
  return store;
}

/** Puts other bytes where something lies. */
export async function replace(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.remove([key]);
  await store.create(key, [bytes]);
}

export async function readAll(journal: Journal, from = 1): Promise<[number, string][]> {
  const found: [number, string][] = [];
  for await (const { position, bytes } of journal.read(from)) found.push([position, bytes.toString('latin1')]);
  return found;
}

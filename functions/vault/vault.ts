import { randomBytes } from 'node:crypto';
import { codeOf, EkkoError } from './errors.ts';
import {
  checkDescription,
  decodeDescription,
  encodeDescription,
  SUITE,
  type VaultDescription,
  type WrappedRootKey,
} from './format/vault-description.ts';
import { createObjectJournal } from './journal/object-journal.ts';
import { openVaultJournal, type VaultJournal } from './journal/vault-journal.ts';
import { deriveEpochKeys, type EpochKeys, type Keyring, keyringOf, ROOT_KEY_SIZE } from './keys/epoch-keys.ts';
import type { KeyProvider } from './keys/key-provider.ts';
import { type Recipient, unwrapRootKey, wrapRootKey } from './keys/recipients.ts';
import { contentName, VAULT_JSON } from './store/object-names.ts';
import type { ObjectStore } from './store/object-store.ts';
import { PAGE_SPAN, SEGMENT_SIZE } from './words.ts';

/** An opened vault: everything that functions and commands work on. */
export interface Vault {
  /** Random, 32 hex digits. */
  readonly id: string;
  readonly store: ObjectStore;
  readonly keyring: Keyring;
  readonly journal: VaultJournal;
  readonly description: VaultDescription;
}

export interface NewVault {
  /** Who can open the vault; at least one. A second one, of either kind, is what an escrow code stands for. */
  readonly recipients: readonly Recipient[];
  /** Said aloud: this vault needs no second recipient. */
  readonly noEscrow: boolean;
  readonly now: Date;
}

/**
 * Makes a vault in an empty store: a fresh root key sealed to the recipients, `vault.json`, and the journal's first entry.
 * Throws `object-exists` when there is a vault already, `bad-input` without recipients, `store-failed`.
 */
export async function createVault(store: ObjectStore, { recipients, noEscrow, now }: NewVault): Promise<Vault> {
  if (recipients.length === 0) throw new EkkoError('bad-input', 'A vault needs at least one recipient of its key.');
  const id = randomBytes(16).toString('hex');
  const rootKey = randomBytes(ROOT_KEY_SIZE);
  const keys = deriveEpochKeys(rootKey, id, 1);
  const wrapped = await Promise.all(
    recipients.map((recipient) => wrapRootKey(rootKey, recipient, { vault: id, epoch: 1 })),
  );
  const description = describe(keys, wrapped);
  const bytes = encodeDescription(keys, description);
  if ((await store.create(VAULT_JSON, [bytes])) === 'exists') {
    throw new EkkoError('object-exists', `${store.url} holds a vault already. Use it, or choose another place.`);
  }
  const vault = await assemble(store, keys, description);
  const at = now.toISOString();
  await vault.journal.append(() => ({ type: 'vault-created', vaultJson: contentName([bytes]), at }));
  if (noEscrow) await vault.journal.append(() => ({ type: 'escrow-waived', at }));
  return vault;
}

/**
 * Opens a vault with one of its keys. Throws `object-missing` (no vault there), `bad-format` (another format version), `wrong-key`
 * (says which keys would do), `damaged` (vault.json was changed), `journal-broken`.
 */
export async function openVault(store: ObjectStore, provider: KeyProvider): Promise<Vault> {
  const { bytes, description, mac } = await readDescription(store);
  const context = { vault: description.vault, epoch: description.epoch.number };
  const rootKey = await unwrapRootKey(description.epoch.wrapped, await provider.identity(), context);
  const keys = deriveEpochKeys(rootKey, description.vault, description.epoch.number);
  checkDescription(keys, description, mac, `${store.url}/${VAULT_JSON}`);
  const vault = await assemble(store, keys, description);
  await checkFirstEntry(vault, contentName([bytes]));
  return vault;
}

/** What `vault.json` says, not yet authenticated. Throws `object-missing`, `bad-format`. */
export async function readDescription(store: ObjectStore) {
  const bytes = await store.get(VAULT_JSON, { start: 0, end: 65_537 }).catch((cause: unknown) => {
    if (codeOf(cause) !== 'object-missing') throw cause;
    throw new EkkoError(
      'object-missing',
      `${store.url} holds no vault (it has no ${VAULT_JSON}). Make one with \`ekko init\`.`,
      { cause },
    );
  });
  return { bytes, ...decodeDescription(bytes, `${store.url}/${VAULT_JSON}`) };
}

function describe(keys: EpochKeys, wrapped: readonly WrappedRootKey[]): VaultDescription {
  return {
    format: 1,
    vault: keys.vault,
    segmentSize: SEGMENT_SIZE,
    pageSpan: PAGE_SPAN,
    suite: SUITE,
    journal: 'objects',
    epoch: { number: keys.epoch, wrapped, stagingPublicKey: keys.staging.publicKey.toString('base64') },
  };
}

async function assemble(store: ObjectStore, keys: EpochKeys, description: VaultDescription): Promise<Vault> {
  const keyring = keyringOf([keys]);
  const journal = await openVaultJournal({ journal: createObjectJournal(store), store, keyring });
  return { id: description.vault, store, keyring, journal, description };
}

/** A crash between the two writes of `createVault` leaves an empty journal: the first one to open the vault finishes it. */
async function checkFirstEntry(vault: Vault, digest: string): Promise<void> {
  const { vaultJson, position } = vault.journal.state();
  if (vaultJson === digest) return;
  if (position === 0) {
    await vault.journal.append(() => ({ type: 'vault-created', vaultJson: digest, at: new Date().toISOString() }));
    return;
  }
  throw new EkkoError(
    'damaged',
    `${vault.store.url}/${VAULT_JSON} is not the one that the vault's journal begins with. Restore it from a copy.`,
  );
}

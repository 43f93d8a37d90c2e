import { randomBytes } from 'node:crypto';
import { codeOf, EkkoError } from './errors.ts';
import type { WrappedRootKey } from './format/key-epoch.ts';
import {
  decodeDescription,
  encodeDescription,
  type JournalKind,
  SUITE,
  type VaultDescription,
} from './format/vault-description.ts';
import type { JournalEntry } from './journal/entries.ts';
import type { Journal } from './journal/journal.ts';
import type { NamedRecipient } from './journal/key-entries.ts';
import { openJournal } from './journal/open-journal.ts';
import { openVaultJournal, type VaultJournal } from './journal/vault-journal.ts';
import { listEpochObjects } from './key-epochs/epoch-objects.ts';
import { type KeyHolder, openKeyring } from './key-epochs/open-keyring.ts';
import { sealEpoch } from './key-epochs/seal-epoch.ts';
import { deriveEpochKeys, type Keyring, keyringOf, ROOT_KEY_SIZE } from './keys/epoch-keys.ts';
import type { KeyProvider } from './keys/key-provider.ts';
import type { NewRecipient } from './keys/recipients.ts';
import { firstContent } from './store/first-content.ts';
import { contentName, VAULT_JSON } from './store/object-names.ts';
import type { ObjectStore } from './store/object-store.ts';
import { PAGE_SPAN, SEGMENT_SIZE, type VaultLock } from './words.ts';

/** An opened vault: everything that functions and commands work on. */
export interface Vault {
  /** Random, 32 hex digits. */
  readonly id: string;
  readonly store: ObjectStore;
  readonly keyring: Keyring;
  /** Who opened it; undefined in a vault that was just made, which learns of no new key epochs. */
  readonly holder?: KeyHolder;
  readonly journal: VaultJournal;
  /** The journal's bytes, for whoever wants to see single entries. */
  readonly log: Journal;
  readonly description: VaultDescription;
}

export interface NewVault {
  /** Who can open the vault; at least one. A second one, of either kind, is what an escrow code stands for. */
  readonly recipients: readonly NewRecipient[];
  /** Said aloud: this vault needs no second recipient. */
  readonly noEscrow: boolean;
  readonly now: Date;
  /** Path of the journal file: the journal is kept in that database. Undefined: in the store itself. */
  readonly journalFile?: string | undefined;
  /** What lasts is written locked, in a store that can do so. Undefined: it is not. */
  readonly lock?: VaultLock | undefined;
}

/**
 * Makes a vault in an empty store: a fresh root key sealed to the recipients, `vault.json`, and the journal's first entry.
 * Throws `object-exists` when there is a vault already, `bad-input` without recipients, and for a lock in a store that has none,
 * `store-failed`, what a journal file throws.
 */
export async function createVault(store: ObjectStore, options: NewVault): Promise<Vault> {
  const { recipients, noEscrow, now, journalFile, lock } = options;
  if (recipients.length === 0) throw new EkkoError('bad-input', 'A vault needs at least one recipient of its key.');
  beginLocking(store, lock);
  const id = randomBytes(16).toString('hex');
  const rootKey = randomBytes(ROOT_KEY_SIZE);
  const keys = deriveEpochKeys(rootKey, id, 1);
  const at = now.toISOString();
  const dated = recipients.map((recipient) => ({ ...recipient, since: at }));
  const epoch = await sealEpoch({ keys, rootKey, recipients: dated, earlier: [] });
  const description = describe(id, epoch, journalFile === undefined ? 'objects' : 'sql', lock);
  const bytes = encodeDescription(keys, description);
  const content = await firstContent(store);
  if (content !== undefined) throw notEmpty(store, content);
  const answer = await store.create(VAULT_JSON, [bytes]);
  // A store that tried again after a lost answer meets what it wrote itself. One that locks may tell two writers that they were first.
  if ((answer === 'exists' || lock !== undefined) && !(await store.get(VAULT_JSON)).equals(bytes)) {
    throw new EkkoError('object-exists', `${store.url} holds a vault already. Use it, or choose another place.`);
  }
  const log = await openJournal(description, store, journalFile);
  const vault = await assemble({ store, log, description, keyring: keyringOf([keys]) });
  await vault.journal.append(() => vaultCreated(description, contentName([bytes]), at));
  if (noEscrow) await vault.journal.append(() => ({ type: 'escrow-waived', at }));
  return vault;
}

/**
 * Opens a vault with one of its keys. Throws `object-missing` (no vault there), `bad-format` (another format version), `wrong-key`
 * (says which keys would do), `damaged` (vault.json was changed), `journal-broken`.
 * A vault whose journal is kept in a SQL database needs its journal file to be written to; without one it is opened for reading, from
 * the copy of the journal in the store. Throws then also what a journal file throws, and `store-failed`.
 */
export async function openVault(store: ObjectStore, provider: KeyProvider, journalFile?: string): Promise<Vault> {
  const listing = listEpochObjects(store);
  // It is awaited only where nothing is locked: else what is hidden must be listed too.
  listing.catch(() => undefined);
  const { bytes, description, mac } = await readDescription(store);
  const found = await (store.locking?.rule() === undefined ? listing : listEpochObjects(store));
  const objects = found.filter((object) => object.description.vault === description.vault);
  const offered = [...objects.toReversed().map((object) => object.description.epoch), description.epoch];
  const identity = await provider.identity(offered.flatMap(({ wrapped }) => wrapped));
  const log = await openJournal(description, store, journalFile);
  const { keyring, holder } = await openKeyring({ store, log, description, mac, objects }, identity);
  const vault = { ...(await assemble({ store, log, description, keyring })), holder };
  await checkFirstEntry(vault, contentName([bytes]));
  return vault;
}

/**
 * What `vault.json` says, not yet authenticated. If it says that the vault is locked, the store does so from now on, where it can: a replica
 * may lie in one that cannot. Throws `object-missing`, `bad-format`.
 */
export async function readDescription(store: ObjectStore) {
  const bytes = await store.get(VAULT_JSON, { start: 0, end: 65_537 }).catch((cause: unknown) => {
    if (codeOf(cause) !== 'object-missing') throw cause;
    throw new EkkoError(
      'object-missing',
      `${store.url} holds no vault (it has no ${VAULT_JSON}). Make one with \`ekko init\`.`,
      { cause },
    );
  });
  const read = decodeDescription(bytes, `${store.url}/${VAULT_JSON}`);
  if (read.description.lock !== undefined) store.locking?.begin(read.description.lock);
  return { bytes, ...read };
}

function describe(
  vault: string,
  epoch: VaultDescription['epoch'],
  journal: JournalKind,
  lock: VaultLock | undefined,
): VaultDescription {
  const sizes = { segmentSize: SEGMENT_SIZE, pageSpan: PAGE_SPAN };
  return { format: 1, vault, ...sizes, suite: SUITE, journal, ...(lock === undefined ? {} : { lock }), epoch };
}

/** From now on the store locks what lasts. Throws `bad-input` where it cannot. */
export function beginLocking({ url, locking }: ObjectStore, lock: VaultLock | undefined): void {
  if (lock === undefined) return;
  if (locking === undefined)
    throw new EkkoError('bad-input', `${url} is no store that locks objects. Lock a vault in a bucket of S3 only.`);
  locking.begin(lock);
}

async function assemble(parts: Pick<Vault, 'store' | 'log' | 'description' | 'keyring'>): Promise<Vault> {
  const { store, log, description, keyring } = parts;
  const journal = await openVaultJournal({ journal: log, store, keyring });
  return { id: description.vault, store, keyring, journal, log, description };
}

function vaultCreated({ epoch }: VaultDescription, vaultJson: string, at: string): JournalEntry {
  return { type: 'vault-created', vaultJson, recipients: epoch.wrapped.map(named), at };
}

function named({ recipient, kind, label }: WrappedRootKey): NamedRecipient {
  return { recipient, kind, ...(label === undefined ? {} : { label }) };
}

/**
 * A crash between the two writes of `createVault` leaves an empty journal: the first one to open the vault finishes it. A vault with
 * anything in it has had a journal: taken for an empty one, it would be swept empty.
 */
async function checkFirstEntry(vault: Vault, digest: string): Promise<void> {
  const { vaultJson, position } = vault.journal.state();
  if (vaultJson === digest) return;
  if (position === 0) {
    const content = await firstContent(vault.store);
    if (content !== undefined) throw journalLost(vault.store, content);
    const now = new Date().toISOString();
    await vault.journal.append(() => vaultCreated(vault.description, digest, now));
    return;
  }
  throw new EkkoError(
    'damaged',
    `${vault.store.url}/${VAULT_JSON} is not the one that the vault's journal begins with. Restore it from a copy.`,
  );
}

function journalLost({ url }: ObjectStore, content: string): EkkoError {
  return new EkkoError(
    'journal-broken',
    `The vault in ${url} has lost its journal: there is no entry, but there is ${content}. ` +
      'Put the journal back from a copy of the vault; nothing is written until it is there.',
  );
}

function notEmpty({ url }: ObjectStore, content: string): EkkoError {
  return new EkkoError(
    'object-exists',
    `${url} holds a vault already, or what is left of one (${content}). Use it, put its ${VAULT_JSON} back from a copy if that is ` +
      'missing, or choose another place.',
  );
}

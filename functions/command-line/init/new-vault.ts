import { existsSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, EkkoError } from '#vault/errors.ts';
import { newEscrow } from '#vault/keys/escrow-code.ts';
import { fingerprintOf, formatRecipient, type Identity, parseRecipient } from '#vault/keys/identity.ts';
import { createKeyFile, readKeyFile } from '#vault/keys/key-file.ts';
import type { NewRecipient } from '#vault/keys/recipients.ts';
import { readJournalFile } from '#vault/sql/sql-address.ts';
import { VAULT_JSON } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { beginLocking, createVault, type Vault } from '#vault/vault.ts';
import type { VaultLock } from '#vault/words.ts';
import { probeLock } from '../doctor/probe-lock.ts';
import { probeStore } from '../doctor/probe-store.ts';
import { recordConfirmation } from '../escrow/confirm-escrow.ts';

/** Who shall be able to open the new vault. */
export interface VaultPlan {
  readonly keyFile: { readonly path: string; readonly identity: Identity; readonly isNew: boolean };
  readonly recipients: readonly NewRecipient[];
  /** The code to print, once, before the vault is made: a crash in between leaves paper that opens nothing. */
  readonly escrow: { readonly code: string; readonly fingerprint: string } | undefined;
  /** Fingerprint of a second recipient that was given, which stands for an escrow code. */
  readonly second: string | undefined;
  readonly noEscrow: boolean;
  /** Path of the journal file; undefined: the journal lies in the store itself. */
  readonly journalFile: string | undefined;
  /** Undefined: nothing is locked. */
  readonly lock: VaultLock | undefined;
}

export interface PlanRequest {
  readonly keyFile: string | undefined;
  /** `ekko-recipient-1:…` texts. */
  readonly recipients: readonly string[];
  readonly noEscrow: boolean;
  readonly journalFile?: string | undefined;
  readonly lock?: VaultLock | undefined;
}

/**
 * Checks that a vault can be made in the store, and reads or makes its keys. Throws `object-exists` when there is one already,
 * `bad-input`, `wrong-key` (key file), `store-failed` (also when the store, or the SQL journal, cannot keep what a vault relies on), and
 * what a journal file throws.
 */
export async function planVault(store: ObjectStore, request: PlanRequest): Promise<VaultPlan> {
  const others = request.recipients.map(parseRecipient);
  const path = keyFilePath(store, request.keyFile);
  beginLocking(store, request.lock);
  await refuseExisting(store);
  await refuseUnfit(store, request);
  const keyFile = await openKeyFile(path);
  const own = keyFile.identity.publicKey;
  const second = others.find((publicKey) => !publicKey.equals(own));
  if (others.length > 0 && second === undefined) {
    throw new EkkoError('bad-input', 'The recipient given is that of the key file itself: give one of another key.');
  }
  const escrow = second === undefined && !request.noEscrow ? newEscrow() : undefined;
  return {
    keyFile,
    recipients: recipientsOf([own, ...others], escrow?.publicKey),
    escrow: escrow && { code: escrow.code, fingerprint: fingerprintOf(escrow.publicKey) },
    second: second && fingerprintOf(second),
    noEscrow: request.noEscrow && second === undefined,
    journalFile: request.journalFile,
    lock: request.lock,
  };
}

/** Makes the vault that was planned. Throws what `createVault` throws. */
export async function makeVault(store: ObjectStore, plan: VaultPlan): Promise<Vault> {
  const { recipients, noEscrow, journalFile, lock } = plan;
  const vault = await createVault(store, { recipients, noEscrow, journalFile, lock, now: new Date() });
  if (plan.second !== undefined) await recordConfirmation(vault, plan.second);
  return vault;
}

/** The text by which others can make this key a recipient of their vaults. */
export function recipientText({ keyFile }: VaultPlan): string {
  return formatRecipient(keyFile.identity.publicKey);
}

function recipientsOf(keyFiles: readonly Buffer[], escrow: Buffer | undefined): NewRecipient[] {
  const unique = keyFiles.filter((key, at) => keyFiles.findIndex((other) => other.equals(key)) === at);
  const recipients: NewRecipient[] = unique.map((publicKey) => ({ kind: 'key-file', publicKey }));
  return escrow === undefined ? recipients : [...recipients, { kind: 'escrow', publicKey: escrow }];
}

function keyFilePath(store: ObjectStore, given: string | undefined): string {
  if (given === undefined) {
    throw new EkkoError(
      'wrong-key',
      'A vault needs a key. Say by --key-file or EKKO_KEY_FILE where it is, or where a new one shall be written.',
    );
  }
  const path = resolve(given);
  if (store.url.startsWith('file:') && `${path}${sep}`.startsWith(`${fileURLToPath(store.url)}${sep}`)) {
    throw new EkkoError(
      'bad-input',
      `Key file ${path} would lie in the vault that it opens. Keep it in another place.`,
    );
  }
  return path;
}

async function refuseExisting(store: ObjectStore): Promise<void> {
  try {
    await store.get(VAULT_JSON, { start: 0, end: 1 });
  } catch (error) {
    if (codeOf(error) === 'object-missing') return;
    throw error;
  }
  const advice =
    'Use it, or choose another place. If its escrow code was lost before the first backup, remove it first.';
  throw new EkkoError('object-exists', `${store.url} holds a vault already. ${advice}`);
}

async function refuseUnfit(store: ObjectStore, { journalFile, lock }: PlanRequest): Promise<void> {
  const findings = lock === undefined ? [] : [await probeLock(store, lock.mode)];
  findings.push(...(await probeStore(store, journalFile === undefined ? 'objects' : 'sql')));
  if (journalFile !== undefined) {
    // Before anything is made: a file that cannot be used is told as what it is.
    await readJournalFile(journalFile);
    const { probeJournal } = await import('../doctor/probe-journal.ts');
    findings.push(...(await probeJournal(journalFile)));
  }
  const wrong = findings.find(({ verdict }) => verdict === 'wrong');
  if (wrong === undefined) return;
  const found = `${wrong.found.replace(/\.$/, '')}. ${wrong.advice ?? ''}`.trim();
  throw new EkkoError('store-failed', `No vault can be kept in ${store.url}: ${found}`);
}

async function openKeyFile(path: string): Promise<VaultPlan['keyFile']> {
  const isNew = !existsSync(path);
  try {
    return { path, isNew, identity: await (isNew ? createKeyFile(path) : readKeyFile(path)) };
  } catch (cause) {
    if (!(cause instanceof Error) || codeOf(cause) === undefined) throw cause;
    throw new EkkoError('wrong-key', cause.message, { cause });
  }
}

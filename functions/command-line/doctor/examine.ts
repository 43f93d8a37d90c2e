import { codeOf } from '#vault/errors.ts';
import type { JournalKind, VaultDescription } from '#vault/format/vault-description.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import type { VaultLock } from '#vault/words.ts';
import { openWholeVault } from '../open-command-vault.ts';
import type { GivenKey } from '../run-command.ts';
import { examineLocks } from './examine-locks.ts';
import {
  escrowFinding,
  holdFindings,
  journalFinding,
  keysFinding,
  leftOverFinding,
  runFindings,
} from './examine-vault.ts';
import { type Finding, findingOf } from './finding.ts';
import { freeSpace } from './free-space.ts';
import { probeLock } from './probe-lock.ts';
import { probeStore } from './probe-store.ts';
import { findTools } from './tools.ts';

/** Looks at the store, at the vault if there is one, and at the tools of this machine. Throws `bad-input` for a vault that cannot be named so. */
export async function examine(url: string, context: GivenKey): Promise<Finding[]> {
  const store = await openStore(url);
  const found = await descriptionIn(store);
  const place = found.journal ?? (context.journalFile === undefined ? 'objects' : 'sql');
  return [
    ...(found.lock === undefined ? [] : [await probeLock(store, found.lock.mode)]),
    ...(await probeStore(store, place)),
    ...(place === 'sql' ? await examineSqlJournal(context) : []),
    ...(await freeSpace(store)),
    ...(found.isVault ? await examineVault(store, context) : [NO_VAULT]),
    ...(await findTools()),
  ];
}

const NO_VAULT: Finding = {
  subject: 'vault',
  verdict: 'note',
  found: 'there is none yet',
  advice: 'Make one with `ekko init`.',
};

async function descriptionIn(
  store: ObjectStore,
): Promise<{ isVault: boolean; journal?: JournalKind; lock?: VaultLock | undefined }> {
  try {
    const { description } = await readDescription(store);
    return { isVault: true, journal: description.journal, lock: description.lock };
  } catch (error) {
    return { isVault: codeOf(error) !== 'object-missing' };
  }
}

async function examineSqlJournal({ journalFile }: GivenKey): Promise<Finding[]> {
  if (journalFile === undefined) return [NO_JOURNAL_FILE];
  const { probeJournal } = await import('./probe-journal.ts');
  return probeJournal(journalFile);
}

const NO_JOURNAL_FILE: Finding = {
  subject: 'SQL journal',
  verdict: 'note',
  found: 'was not looked at: the vault can be read, from the copy of its journal, and not be written to',
  advice: 'Name the journal file by --journal-file or EKKO_JOURNAL_FILE.',
};

/** Each step needs the one before: the first that fails is the last. */
async function examineVault(store: ObjectStore, context: GivenKey): Promise<Finding[]> {
  const description = await findingOf('vault.json', async () => describe((await readDescription(store)).description));
  if (description.verdict === 'wrong') return [description];
  if (context.keyFile === undefined) return [description, NO_KEY];
  let vault: Vault | undefined;
  const key = await findingOf('key', async () => {
    vault = await openWholeVault(store, context);
    return { verdict: 'ok', found: 'opens the vault' };
  });
  if (vault === undefined) return [description, key];
  const state = vault.journal.state();
  return [
    ...[description, key, journalFinding(state), keysFinding(state), escrowFinding(state)],
    ...runFindings(state),
    ...holdFindings(state),
    ...(await examineLocks(vault)),
    await findingOf('left-overs', () => leftOverFinding(store, state)),
  ];
}

const NO_KEY: Finding = {
  subject: 'key',
  verdict: 'note',
  found: 'none was given: the journal, the escrow and open runs were not looked at',
  advice: 'Name the key file by --key-file or EKKO_KEY_FILE.',
};

function describe({ vault, format, journal, lock }: VaultDescription) {
  const locked = lock === undefined ? '' : `, locked for ${lock.days} days (${lock.mode})`;
  return {
    verdict: 'ok',
    found: `vault ${vault.slice(0, 8)}…, format ${format}, journal in ${PLACES[journal]}${locked}`,
  } as const;
}

const PLACES = { objects: 'the store itself', sql: 'a SQL table' } as const;

import { codeOf } from '#vault/errors.ts';
import type { VaultDescription } from '#vault/format/vault-description.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import { openWholeVault } from '../open-command-vault.ts';
import type { GivenKey } from '../run-command.ts';
import { escrowFinding, journalFinding, leftOverFinding, runFindings } from './examine-vault.ts';
import { type Finding, findingOf } from './finding.ts';
import { freeSpace } from './free-space.ts';
import { probeStore } from './probe-store.ts';
import { findTools } from './tools.ts';

/** Looks at the store, at the vault if there is one, and at the tools of this machine. Throws `bad-input` for a vault that cannot be named so. */
export async function examine(url: string, context: GivenKey): Promise<Finding[]> {
  const store = openStore(url);
  const isVault = await holdsVault(store);
  return [
    ...(await probeStore(store)),
    ...(await freeSpace(store)),
    ...(isVault ? await examineVault(store, context) : [NO_VAULT]),
    ...(await findTools()),
  ];
}

const NO_VAULT: Finding = {
  subject: 'vault',
  verdict: 'note',
  found: 'there is none yet',
  advice: 'Make one with `ekko init`.',
};

async function holdsVault(store: ObjectStore): Promise<boolean> {
  try {
    await readDescription(store);
    return true;
  } catch (error) {
    return codeOf(error) !== 'object-missing';
  }
}

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
    ...[description, key, journalFinding(state), escrowFinding(state)],
    ...runFindings(state),
    await findingOf('left-overs', () => leftOverFinding(store, state)),
  ];
}

const NO_KEY: Finding = {
  subject: 'key',
  verdict: 'note',
  found: 'none was given: the journal, the escrow and open runs were not looked at',
  advice: 'Name the key file by --key-file or EKKO_KEY_FILE.',
};

function describe({ vault, format, epoch }: VaultDescription) {
  const keys = `${epoch.wrapped.length} ${epoch.wrapped.length === 1 ? 'key opens' : 'keys open'} it`;
  return { verdict: 'ok', found: `vault ${vault.slice(0, 8)}…, format ${format}; ${keys}` } as const;
}

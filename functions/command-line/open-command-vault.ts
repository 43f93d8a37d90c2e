import { codeOf, EkkoError } from '#vault/errors.ts';
import type { KeyProvider } from '#vault/keys/key-provider.ts';
import { escrowCodeProvider, keyFileProvider, passphraseProvider } from '#vault/keys/key-provider.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import type { GivenKey } from './run-command.ts';
import type { Screen } from './screen.ts';

/** The vault that a person names, opened with the key given. Throws `wrong-key` for a key that is missing or cannot be used, and what `openVault` throws. */
export async function openCommandVault(url: string, context: GivenKey): Promise<Vault> {
  const vault = await openStoredVault(await openStore(url), context);
  remarkOnCopy(vault, context);
  return vault;
}

/** Says on standard error that the journal was read from the copy of it in the store, where that is so. */
export function remarkOnCopy({ description, journal }: Vault, { journalFile, screen }: GivenKey): void {
  if (description.journal !== 'sql' || journalFile !== undefined) return;
  screen.remark(
    `The journal was read from its copy in the vault, up to entry ${journal.state().position}: no --journal-file was given.`,
  );
}

/** As `openCommandVault`, over a store that is open. */
export function openStoredVault(store: ObjectStore, given: GivenKey): Promise<Vault> {
  return openVault(store, providerOf(given), given.journalFile);
}

function providerOf({ keyFile, by, passphraseFile, screen }: GivenKey): KeyProvider {
  if (by === 'escrow') return usable(escrowCodeProvider(() => askForCode(screen)));
  if (by === 'passphrase') return usable(passphraseProvider(() => givenPassphrase(screen, passphraseFile)));
  return keyFile === undefined ? NO_KEY : usable(keyFileProvider(keyFile));
}

async function askForCode(screen: Screen): Promise<string> {
  const { askLine } = await import('./ask-line.ts');
  return (await askLine(screen, 'Escrow code: ')) ?? '';
}

async function givenPassphrase(screen: Screen, file: string | undefined): Promise<string> {
  const { readPassphraseFile } = await import('#vault/keys/passphrase-file.ts');
  if (file !== undefined) return readPassphraseFile(file);
  const { askSecret } = await import('./ask-secret.ts');
  return (await askSecret(screen, 'Passphrase: ')) ?? '';
}

/** As `openStoredVault`, with every entry of the journal read and checked: opening begins at the newest state snapshot otherwise. */
export function openWholeVault(store: ObjectStore, context: GivenKey): Promise<Vault> {
  const nothing = async function* () {};
  const list: ObjectStore['list'] = (prefix, options) =>
    prefix === Folder.states ? nothing() : store.list(prefix, options);
  return openStoredVault({ ...store, list }, context);
}

/** That no key was given matters only once there is a vault to open: a wrong path is the likelier mistake. */
const NO_KEY: KeyProvider = {
  origin: 'no key',
  identity: () =>
    Promise.reject(new EkkoError('wrong-key', 'No key was given. Name the key file by --key-file or EKKO_KEY_FILE.')),
};

/** Whatever is wrong with a key file or a code, to a caller it is the key that is wrong. */
function usable(provider: KeyProvider): KeyProvider {
  const asKeyFault = (cause: unknown) => {
    if (!(cause instanceof Error) || codeOf(cause) === undefined) throw cause;
    throw new EkkoError('wrong-key', cause.message, { cause });
  };
  return { ...provider, identity: (offered) => provider.identity(offered).catch(asKeyFault) };
}

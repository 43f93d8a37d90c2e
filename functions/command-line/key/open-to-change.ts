import { databaseMissing } from '#vault/journal/mirrored-journal.ts';
import { openStore } from '#vault/store/open-store.ts';
import type { Vault } from '#vault/vault.ts';
import { openStoredVault } from '../open-command-vault.ts';
import type { CommandContext } from '../run-command.ts';

/** The vault, opened to be written to: that its SQL journal was not named is said before anything is made. Throws `bad-input`, and what opening it throws. */
export async function openToChange(url: string, context: CommandContext): Promise<Vault> {
  const store = await openStore(url);
  const vault = await openStoredVault(store, context);
  if (vault.description.journal !== 'sql' || context.journalFile !== undefined) return vault;
  throw databaseMissing(store);
}

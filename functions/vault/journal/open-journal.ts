import type { VaultDescription } from '../format/vault-description.ts';
import { readJournalFile } from '../sql/sql-address.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Journal } from './journal.ts';
import { createMirroredJournal, createMirrorReader } from './mirrored-journal.ts';
import { createObjectJournal } from './object-journal.ts';
import { createSqlJournal } from './sql-journal.ts';
import { openJournalTable } from './sql-table.ts';

/**
 * The journal of a vault, of the kind that `vault.json` says. One that is kept in a SQL database can only be read without the journal
 * file. Throws `bad-input` and `bad-format` (journal file); nothing is read of the journal yet.
 */
export async function openJournal(
  { vault, journal }: Pick<VaultDescription, 'vault' | 'journal'>,
  store: ObjectStore,
  journalFile: string | undefined,
): Promise<Journal> {
  if (journal === 'objects') return createObjectJournal(store);
  if (journalFile === undefined) return createMirrorReader(store);
  const table = openJournalTable(await readJournalFile(journalFile));
  return createMirroredJournal(createSqlJournal(table, vault), store);
}

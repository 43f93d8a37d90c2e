import { EkkoError } from '#vault/errors.ts';
import { type Adoption, adoptJournal } from '#vault/journal/adopt-journal.ts';
import { createSqlJournal } from '#vault/journal/sql-journal.ts';
import { openJournalTable } from '#vault/journal/sql-table.ts';
import { readJournalFile } from '#vault/sql/sql-address.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openWholeVault } from '../open-command-vault.ts';
import type { CommandContext } from '../run-command.ts';
import { formatCount } from '../text/sizes.ts';

export interface AdoptReport extends Adoption {
  /** Of the SQL journal, without credentials. */
  readonly journal: string;
  /** Position of the last entry. */
  readonly head: number;
}

/**
 * Fills a database with the journal of a vault from the copy in the vault, and checks both from the first entry. Throws `bad-input`
 * for a vault whose journal is not kept in SQL, and what `adoptJournal` and opening the vault throw.
 */
export async function adopt(url: string, context: CommandContext): Promise<AdoptReport> {
  const { journalFile } = context;
  if (journalFile === undefined) {
    throw new EkkoError(
      'bad-input',
      'Name the database that shall keep the journal, by --journal-file or EKKO_JOURNAL_FILE.',
    );
  }
  const store = await openStore(url);
  // Nothing is copied of a journal that is not whole and authentic.
  const { description, log } = await openWholeVault(store, { ...context, journalFile: undefined });
  if (description.journal !== 'sql') {
    const why = 'it lies in the store itself, and needs no database';
    throw new EkkoError('bad-input', `The journal of the vault in ${store.url} cannot be adopted: ${why}.`);
  }
  const table = openJournalTable(await readJournalFile(journalFile));
  const adoption = await adoptJournal(log, createSqlJournal(table, description.vault));
  await table.close();
  const { journal } = await openWholeVault(store, context);
  return { ...adoption, journal: table.url, head: journal.state().position };
}

export function describeAdopt({ entries, added, journal, head }: AdoptReport): string[] {
  const copied = `${formatCount(added, 'entry', 'entries')} of ${entries}`;
  const done = added === 0 ? `The SQL journal ${journal} had every entry already.` : `${copied} copied to ${journal}.`;
  return [
    done,
    `It is whole, up to entry ${head}.`,
    'Name this database on every host that uses the vault. None may use another one any more.',
  ];
}

import { EkkoError } from '../errors.ts';
import { LARGEST_ENTRY } from '../format/journal-entry.ts';
import { journalKey } from '../store/object-names.ts';
import { checkPosition, type Journal, type NumberedBytes } from './journal.ts';
import type { JournalTable } from './sql-table.ts';

/** Entries of one page: at most 16 MiB. */
const PAGE_ROWS = 16;

/**
 * The journal of `vault` in a SQL table: its unique key gives a position away once. `append` throws `journal-broken` when the entry
 * before is not in the table: the caller has read it, so the database has gone back to an older state.
 */
export function createSqlJournal(table: JournalTable, vault: string): Journal {
  return {
    url: table.url,
    append: async (position, bytes) => {
      if (await table.insert(vault, checkPosition(position), bytes)) return 'created';
      if (await table.has(vault, position)) return 'exists';
      throw missing(table, position - 1, 'it was there before: the database was set back to an older state');
    },
    read: (from) => readPages(table, vault, from),
  };
}

async function* readPages(table: JournalTable, vault: string, from: number): AsyncGenerator<NumberedBytes> {
  let next = checkPosition(from);
  for (;;) {
    // One byte more than an entry may have: enough to see that it is too long, whatever lies there.
    const page = await table.page(vault, next, PAGE_ROWS, LARGEST_ENTRY + 1);
    for (const entry of page) {
      if (entry.position !== next) throw missing(table, next, `position ${entry.position} is there`);
      yield entry;
      next++;
    }
    if (page.length < PAGE_ROWS) return;
  }
}

function missing({ url }: JournalTable, position: number, but: string): EkkoError {
  return new EkkoError(
    'journal-broken',
    `The SQL journal ${url} has a gap: ${journalKey(position)} is missing, but ${but}. ` +
      'Nothing can be written until it is whole again: `ekko journal adopt` fills it from the copy in the vault.',
  );
}

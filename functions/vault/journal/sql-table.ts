import type { SqlAddress } from '../sql/sql-address.ts';
import type { SqlRow, SqlServer } from '../sql/sql-driver.ts';
import { openLine, type SqlTable } from '../sql/sql-line.ts';
import type { NumberedBytes } from './journal.ts';

/** The table `ekko_journal` of one database (see `openLine`). All calls throw `store-failed`. */
export interface JournalTable {
  /** For messages. Never holds a credential. */
  readonly url: string;
  /** Whether the entry was inserted: no when the position is taken, or the one before it is not. After an error it may be there. */
  insert(vault: string, position: number, entry: Uint8Array): Promise<boolean>;
  has(vault: string, position: number): Promise<boolean>;
  /** The first `most` entries from position `from` on, ascending; of each at most `longest` bytes. */
  page(vault: string, from: number, most: number, longest: number): Promise<NumberedBytes[]>;
  /** Removes all entries of a vault: of scratch ones only. */
  remove(vault: string): Promise<void>;
  describe(): Promise<SqlServer>;
  close(): Promise<void>;
}

const TABLE: SqlTable = {
  name: 'ekko_journal',
  key: 'vault,position',
  ...{ called: 'SQL journal', rights: 'select and insert', purpose: 'a journal', section: '"Journal"' },
  meanwhile:
    'Until it answers, points, show, restore and verify work without it (leave out --journal-file and EKKO_JOURNAL_FILE)',
  create: {
    mariadb: `CREATE TABLE IF NOT EXISTS ekko_journal (
      vault CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      position BIGINT NOT NULL,
      entry LONGBLOB NOT NULL,
      PRIMARY KEY (vault, position)
    ) ENGINE=InnoDB`,
    postgresql: `CREATE TABLE IF NOT EXISTS ekko_journal (
      vault CHAR(32) NOT NULL,
      position BIGINT NOT NULL,
      entry BYTEA NOT NULL,
      PRIMARY KEY (vault, position)
    )`,
  },
};

/** Only behind the entry of the position before. */
const INSERT = {
  mariadb: `INSERT INTO ekko_journal (vault, position, entry) SELECT ?, ?, ? FROM DUAL
    WHERE ? = 1 OR EXISTS (SELECT 1 FROM ekko_journal WHERE vault = ? AND position = ?)`,
  postgresql: `INSERT INTO ekko_journal (vault, position, entry) SELECT ?::char(32), ?::bigint, ?::bytea
    WHERE ?::bigint = 1 OR EXISTS (SELECT 1 FROM ekko_journal WHERE vault = ?::char(32) AND position = ?::bigint)
    ON CONFLICT DO NOTHING`,
} as const;
const HAS = 'SELECT position FROM ekko_journal WHERE vault = ? AND position = ?';
const PAGE = `SELECT position, SUBSTRING(entry FROM 1 FOR ?) AS entry FROM ekko_journal
  WHERE vault = ? AND position >= ? ORDER BY position LIMIT ?`;
const REMOVE = 'DELETE FROM ekko_journal WHERE vault = ?';

/** Nothing is connected yet. */
export function openJournalTable(address: SqlAddress): JournalTable {
  const line = openLine(address, TABLE);
  return {
    url: address.url,
    insert: (vault, position, entry) =>
      line.call('insert into', async (connection) => {
        const values = [vault, position, entry, position, vault, position - 1];
        return (await connection.change(INSERT[address.kind], values)) === 1;
      }),
    has: (vault, position) =>
      line.call('read', async ({ rows }) => (await rows(HAS, [vault, position])).length > 0, true),
    page: (vault, from, most, longest) =>
      line.call('read', async ({ rows }) => (await rows(PAGE, [longest, vault, from, most])).map(toEntry), true),
    remove: (vault) => line.call('delete from', async ({ change }) => void (await change(REMOVE, [vault])), true),
    describe: () => line.call('look at', (connection) => connection.describe(), true),
    close: line.close,
  };
}

function toEntry({ position, entry }: SqlRow): NumberedBytes {
  return { position: Number(position), bytes: Buffer.from(entry as Uint8Array) };
}

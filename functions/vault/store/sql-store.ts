import { EkkoError } from '../errors.ts';
import type { SqlAddress } from '../sql/sql-address.ts';
import { openLine, type SqlTable } from '../sql/sql-line.ts';
import { clipRange } from './byte-range.ts';
import { checkKey, checkPrefix } from './check-key.ts';
import { NOTHING_KEPT, type ObjectStore, type StoredObject } from './object-store.ts';

/** A store in a table of a SQL database: for small objects, and for what two writers must never both create. */
export interface SqlStore extends ObjectStore {
  close(): Promise<void>;
}

const TABLE: SqlTable = {
  name: 'ekko_registry',
  key: 'name',
  ...{ called: 'SQL registry', rights: 'select, insert and delete', purpose: 'a registry', section: '"Registry"' },
  meanwhile: '',
  create: {
    mariadb: `CREATE TABLE IF NOT EXISTS ekko_registry (
      name VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
      record LONGBLOB NOT NULL
    ) ENGINE=InnoDB`,
    postgresql: `CREATE TABLE IF NOT EXISTS ekko_registry (
      name VARCHAR(512) COLLATE "C" NOT NULL PRIMARY KEY,
      record BYTEA NOT NULL
    )`,
  },
};

const INSERT = {
  mariadb: 'INSERT INTO ekko_registry (name, record) VALUES (?, ?)',
  postgresql: 'INSERT INTO ekko_registry (name, record) VALUES (?, ?) ON CONFLICT DO NOTHING',
} as const;
const PART = 'SELECT SUBSTRING(record FROM ? FOR ?) AS record FROM ekko_registry WHERE name = ?';
const LIST = `SELECT name, OCTET_LENGTH(record) AS size FROM ekko_registry
  WHERE name > ? AND name < ? ORDER BY name LIMIT ?`;
/** No column holds more. */
const LARGEST = 2 ** 30;
const PAGE_ROWS = 1000;
const REMOVED_AT_ONCE = 100;

/** Objects are as large as one packet of the server may be (MariaDB: 16 MiB by default). Nothing is connected yet. */
export function openSqlStore(address: SqlAddress): SqlStore {
  const { url, kind } = address;
  const line = openLine(address, TABLE);

  async function pageFrom(after: string, end: string): Promise<StoredObject[]> {
    const rows = await line.call('read', (connection) => connection.rows(LIST, [after, end, PAGE_ROWS]), true);
    return rows.map(({ name, size }) => ({ key: String(name), size: Number(size) }));
  }

  return {
    url,

    async create(key, body) {
      const values = [checkKey(key), Buffer.concat(body)];
      const changed = await line.call('insert into', ({ change }) => change(INSERT[kind], values));
      return changed === 1 ? 'created' : 'exists';
    },

    async get(key, range) {
      const { start, end } = clipRange(range, LARGEST);
      const values = [start + 1, end - start, checkKey(key)];
      const [row] = await line.call('read', ({ rows }) => rows(PART, values), true);
      if (row === undefined) throw new EkkoError('object-missing', `${url}: ${key} is missing.`);
      return Buffer.from(row['record'] as Uint8Array);
    },

    async *list(prefix, { after = '' } = {}) {
      const end = checkPrefix(prefix) === '' ? '\x7f' : `${prefix.slice(0, -1)}0`;
      for (let last = after > prefix ? after : prefix; ; ) {
        const page = await pageFrom(last, end);
        yield* page;
        last = page.at(-1)?.key ?? last;
        if (page.length < PAGE_ROWS) return;
      }
    },

    async remove(keys) {
      const names = keys.map(checkKey);
      for (let at = 0; at < names.length; at += REMOVED_AT_ONCE) {
        const some = names.slice(at, at + REMOVED_AT_ONCE);
        const statement = `DELETE FROM ekko_registry WHERE name IN (${some.map(() => '?').join(', ')})`;
        await line.call('delete from', ({ change }) => change(statement, some), true);
      }
      return NOTHING_KEPT;
    },

    close: line.close,
  };
}

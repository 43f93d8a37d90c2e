import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Client } from 'pg';
import type { SqlAddress } from './sql-address.ts';
import type { SqlConnection, SqlDriver, SqlFault, SqlFaultKind, SqlRow, SqlServer } from './sql-driver.ts';
import { systemFault } from './sql-errors.ts';

export const postgresDriver: SqlDriver = { connect, faultOf };

async function connect(address: SqlAddress, timeoutMs: number): Promise<SqlConnection> {
  const { host, port, user, password, database } = address;
  const ssl = await tlsOptions(address);
  const socket = new Socket();
  const client = new Client({
    ...{ host, port, user, password, database, ssl, connectionTimeoutMillis: timeoutMs },
    ...{ stream: () => socket, application_name: 'ekko' },
  });
  // An idle connection that breaks must not end the process; the next statement finds out.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(SESSION);
    return speak(client, socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function tlsOptions({ tls, rootCertificates }: SqlAddress) {
  if (tls === 'disable') return false;
  const ca = rootCertificates === undefined ? {} : { ca: await readFile(rootCertificates, 'utf8') };
  return { rejectUnauthorized: tls === 'verify-full', ...ca };
}

/** A commit is answered when it is on stable storage, whatever is usual on that server. */
const SESSION = `SELECT set_config('default_transaction_isolation', 'read committed', false),
  CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`;

function speak(client: Client, socket: Socket): SqlConnection {
  const ask = (sql: string, values: readonly unknown[] = []) => client.query<SqlRow>(numbered(sql), [...values]);
  const rows = async (sql: string, values?: readonly unknown[]) => (await ask(sql, values)).rows;
  return {
    ...{ socket, rows },
    change: async (sql, values) => (await ask(sql, values)).rowCount ?? 0,
    layout: async (table) => {
      const [row] = await rows(LAYOUT, [table]);
      if (row === undefined) return undefined;
      const unsafe = row['persistence'] === 'p' ? undefined : 'it is unlogged or temporary';
      return { primaryKey: String(row['primary_key']), unsafe };
    },
    describe: () => describe(rows),
    end: () => client.end(),
  };
}

/** `$1`, `$2`, … in place of each `?`. */
function numbered(sql: string): string {
  let number = 0;
  return sql.replaceAll('?', () => `$${++number}`);
}

const LAYOUT = `SELECT c.relpersistence AS persistence, (
    SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE i.indrelid = c.oid AND i.indisprimary
  ) AS primary_key
  FROM pg_class c WHERE c.oid = to_regclass(?)`;

async function describe(rows: (sql: string) => Promise<SqlRow[]>): Promise<SqlServer> {
  const [found = {}] = await rows(
    `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
      current_setting('full_page_writes') AS pages,
      (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous`,
  );
  const doubts = [];
  if (found['fsync'] === 'off') doubts.push('fsync is off');
  if (found['pages'] === 'off') doubts.push('full_page_writes is off');
  if (/^(off|local)$/.test(String(found['synchronous']))) {
    doubts.push(`synchronous_commit is ${found['synchronous']}; Ekko turns it on for itself`);
  }
  return { product: `PostgreSQL ${String(found['version']).split(' ')[0]}`, doubts };
}

/** By SQLSTATE, or its class. */
const KINDS: Readonly<Record<string, SqlFaultKind>> = {
  '40001': 'again',
  '40P01': 'again',
  '28': 'login',
  '3D': 'no-database',
  '42501': 'no-right',
  '25006': 'read-only',
  '53100': 'full',
  '53300': 'too-many',
  '53400': 'too-many',
  '08': 'lost',
  '57P': 'lost',
};

function faultOf(error: unknown): SqlFault {
  const system = systemFault(error);
  if (system !== undefined) return system;
  const words = error instanceof Error ? error.message : String(error);
  if (/\b(SSL|TLS)\b/i.test(words)) return { kind: 'tls', words };
  const state = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  // What has no code is not from the server: the driver lost the connection.
  if (state === undefined) return { kind: 'lost', words };
  return { kind: KINDS[state] ?? KINDS[state.slice(0, 3)] ?? KINDS[state.slice(0, 2)] ?? 'other', words };
}

import { readFile } from 'node:fs/promises';
import { isIP, connect as openSocket, type Socket } from 'node:net';
import { type Connection, createConnection, type UpsertResult } from 'mariadb';
import type { SqlAddress } from './sql-address.ts';
import type { SqlConnection, SqlDriver, SqlFault, SqlFaultKind, SqlRow, SqlServer, TableLayout } from './sql-driver.ts';
import { systemFault } from './sql-errors.ts';

/** MariaDB, and what speaks its protocol (MySQL, Galera clusters). */
export const mariadbDriver: SqlDriver = { connect, faultOf };

async function connect(address: SqlAddress, timeoutMs: number): Promise<SqlConnection> {
  const { host, port, user, password, database } = address;
  const ssl = await tlsOptions(address);
  const socket = openSocket(port, host).setNoDelay();
  const connection = await createConnection({
    ...{ host, port, user, password, database, ssl, connectTimeout: timeoutMs },
    ...{ stream: (give) => give(undefined, socket), logParam: false, bigIntAsNumber: true, insertIdAsNumber: true },
  });
  // An idle connection that breaks must not end the process; the next statement finds out.
  connection.on('error', () => undefined);
  try {
    await openSession(connection);
    return speak(connection, socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function tlsOptions({ tls, host, rootCertificates }: SqlAddress) {
  if (tls === 'disable') return false;
  const ca = rootCertificates === undefined ? {} : { ca: await readFile(rootCertificates) };
  // The driver does not say whose certificate is expected.
  const name = isIP(host) ? { host } : { host, servername: host };
  return { rejectUnauthorized: tls === 'verify-full', ...ca, ...name };
}

const NO_SUCH_VARIABLE = 1193;

async function openSession(connection: Connection): Promise<void> {
  await connection.query("SET SESSION autocommit = 1, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'");
  // In a Galera cluster a node answers only when it knows what was committed on the others.
  await connection.query('SET SESSION wsrep_sync_wait = 7').catch((error: unknown) => {
    if (numberOf(error) !== NO_SUCH_VARIABLE) throw error;
  });
}

function speak(connection: Connection, socket: Socket): SqlConnection {
  const rows = (sql: string, values: readonly unknown[] = []): Promise<SqlRow[]> => connection.execute(sql, values);
  const change = (sql: string, values: readonly unknown[]): Promise<UpsertResult> => connection.execute(sql, values);
  return {
    ...{ socket, rows },
    change: (sql, values) => change(sql, values).then(({ affectedRows }) => affectedRows, noneWhenTaken),
    layout: (table) => layoutOf(connection, table),
    describe: () => describe(rows),
    end: () => connection.end(),
  };
}

const KEY_TAKEN = 1062;

function noneWhenTaken(error: unknown): 0 {
  if (numberOf(error) === KEY_TAKEN) return 0;
  throw error;
}

const NO_TABLE = 1146;

/** From what the server shows of the table: asking `information_schema` makes it write temporary tables. */
async function layoutOf(connection: Connection, table: string): Promise<TableLayout | undefined> {
  try {
    const [row]: SqlRow[] = await connection.query(`SHOW CREATE TABLE ${table}`);
    const statement = String(row?.['Create Table']);
    const key = /^ *PRIMARY KEY \(([^)]*)\)/m.exec(statement)?.[1] ?? '';
    const engine = /^\).* ENGINE=(\w+)/m.exec(statement)?.[1] ?? 'unknown';
    const unsafe = engine === 'InnoDB' ? undefined : `its engine is ${engine}, it must be InnoDB`;
    return { primaryKey: key.replaceAll('`', ''), unsafe };
  } catch (error) {
    if (numberOf(error) === NO_TABLE) return undefined;
    throw error;
  }
}

async function describe(rows: (sql: string) => Promise<SqlRow[]>): Promise<SqlServer> {
  const [found = {}] = await rows(
    'SELECT VERSION() AS version, @@GLOBAL.innodb_flush_log_at_trx_commit AS flush, @@GLOBAL.innodb_doublewrite AS twice',
  );
  const version = String(found['version']);
  const product = `${/mariadb/i.test(version) ? 'MariaDB' : 'MySQL'} ${/^[\d.]+/.exec(version)?.[0] ?? version}`;
  const doubts = [];
  if (Number(found['flush']) !== 1) doubts.push(`innodb_flush_log_at_trx_commit is ${found['flush']}, not 1`);
  if (/^(0|OFF)$/i.test(String(found['twice']))) doubts.push('innodb_doublewrite is off');
  return { product, doubts };
}

const KINDS: Readonly<Record<number, SqlFaultKind>> = {
  1020: 'again',
  1205: 'again',
  1213: 'again',
  1044: 'login',
  1045: 'login',
  1698: 'login',
  1049: 'no-database',
  1142: 'no-right',
  1143: 'no-right',
  1227: 'no-right',
  1290: 'read-only',
  1792: 'read-only',
  1836: 'read-only',
  1021: 'full',
  1114: 'full',
  1040: 'too-many',
  1203: 'too-many',
  1226: 'too-many',
  1153: 'too-long',
};
/** What the driver itself says of a connection: from here on, and not `1xxx` as servers do. */
const FIRST_OF_DRIVER = 45_000;

function faultOf(error: unknown): SqlFault {
  const number = numberOf(error);
  const words = wordsOf(error);
  const kind = KINDS[number ?? 0];
  if (kind !== undefined) return { kind, words };
  const system = systemFault(error instanceof Error && error.cause instanceof Error ? error.cause : error);
  if (system !== undefined) return system;
  if (/\b(SSL|TLS)\b/i.test(words)) return { kind: 'tls', words };
  return { kind: number === undefined || number >= FIRST_OF_DRIVER ? 'lost' : 'other', words };
}

function numberOf(error: unknown): number | undefined {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;
}

/** Without the statement and its values, which `message` may hold. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'sqlMessage' in error && typeof error.sqlMessage === 'string' ? error.sqlMessage : error.message;
}

import { setTimeout as pause } from 'node:timers/promises';
import { EkkoError } from '../errors.ts';
import type { SqlAddress } from './sql-address.ts';
import type { SqlConnection, SqlDriver } from './sql-driver.ts';
import { sqlFailure, type TableWords } from './sql-errors.ts';

/** A table that is made when it is not there, and looked at before it is used: with another primary key its promise would be broken silently. */
export interface SqlTable extends TableWords {
  /** Names of the primary key's columns, joined by commas. */
  readonly key: string;
  /** The statement that makes it, unless it is there. */
  readonly create: Readonly<Record<SqlAddress['kind'], string>>;
}

const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
const IDLE_MS = 5_000;
const LEAVE_MS = 1_000;
const MOST_TRIES = 8;

async function driverOf({ kind }: SqlAddress): Promise<SqlDriver> {
  // Loaded only where one is needed: most vaults need none.
  if (kind === 'mariadb') return (await import('./mariadb-driver.ts')).mariadbDriver;
  return (await import('./postgres-driver.ts')).postgresDriver;
}

/** What is done with the connection. */
export type Work<T> = (connection: SqlConnection) => Promise<T>;

/** A table of one database, over one connection that is opened when it is needed and closed when it is not: an idle one keeps no process alive. */
export interface SqlLine {
  /** `what`: `insert into`. `repeatable`: does no harm when it is done twice, so a lost connection is opened anew. Throws `store-failed`. */
  call<T>(what: string, work: Work<T>, repeatable?: boolean): Promise<T>;
  close(): Promise<void>;
}

/** Nothing is connected yet; the table is made when it is not there. Calls wait for each other. */
export function openLine(address: SqlAddress, table: SqlTable): SqlLine {
  const held = holdConnection(address, table);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    call: (what, work, repeatable = false) =>
      inTurn(() => persist({ address, table, what, repeatable }, () => held.use(work))),
    close: () => inTurn(held.close),
  };
}

interface Statement {
  readonly address: SqlAddress;
  readonly table: SqlTable;
  readonly what: string;
  readonly repeatable: boolean;
}

/** Does `attempt` again where that can do no harm; says in words why it failed. */
async function persist<T>({ address, table, what, repeatable }: Statement, attempt: () => Promise<T>): Promise<T> {
  const driver = await driverOf(address);
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (cause) {
      if (cause instanceof EkkoError) throw cause;
      const fault = driver.faultOf(cause);
      const again = fault.kind === 'again' ? tries < MOST_TRIES : fault.kind === 'lost' && repeatable && tries === 1;
      if (!again) throw sqlFailure(address, table, what, fault, cause);
      await pause(Math.random() * 2 ** tries);
    }
  }
}

/** One connection, opened by the first that needs it, and given up by whoever fails with it: nobody knows what state it is in then. */
function holdConnection(address: SqlAddress, table: SqlTable) {
  let connection: SqlConnection | undefined;
  let idle: NodeJS.Timeout | undefined;

  const use = async <T>(work: Work<T>): Promise<T> => {
    if (connection?.socket.destroyed) connection = undefined;
    connection ??= await connect(address, table, await driverOf(address));
    const { socket } = connection;
    clearTimeout(idle);
    socket.ref();
    try {
      return await answered(work(connection), ANSWER_MS);
    } catch (error) {
      connection = undefined;
      socket.destroy();
      throw error;
    } finally {
      socket.unref();
      idle = setTimeout(close, IDLE_MS).unref();
    }
  };

  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const closing = connection;
    connection = undefined;
    closing?.socket.ref();
    if (closing) await answered(closing.end(), LEAVE_MS).catch(() => undefined);
    closing?.socket.destroy();
  };

  return { use, close };
}

async function answered<T>(work: Promise<T>, mostMs: number): Promise<T> {
  const timer = new AbortController();
  const late = pause(mostMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`No answer within ${mostMs / 1000} s`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}

/** A connection to a database whose table is there and fit. */
async function connect(address: SqlAddress, table: SqlTable, driver: SqlDriver): Promise<SqlConnection> {
  let connection: SqlConnection | undefined;
  try {
    connection = await driver.connect(address, CONNECT_MS);
    await answered(prepareTable(address, table, connection), ANSWER_MS);
    return connection;
  } catch (cause) {
    connection?.socket.destroy();
    if (cause instanceof EkkoError) throw cause;
    const fault = driver.faultOf(cause);
    // The statement itself was not sent: it may be tried again, and surely was not done.
    if (fault.kind === 'again') throw cause;
    const told = fault.kind === 'lost' ? { ...fault, kind: 'unreachable' as const } : fault;
    throw sqlFailure(address, table, 'open', told, cause);
  }
}

async function prepareTable({ kind, url }: SqlAddress, table: SqlTable, connection: SqlConnection): Promise<void> {
  let layout = await connection.layout(table.name);
  if (layout === undefined) {
    const failure: unknown = await connection.rows(table.create[kind]).then(
      () => undefined,
      (error: unknown) => error,
    );
    layout = await connection.layout(table.name);
    // Of several that create it at once one may be told that it is there.
    if (layout === undefined) throw failure;
  }
  const { primaryKey, unsafe } = layout;
  const wrong = primaryKey === table.key ? unsafe : `its primary key is (${primaryKey}), it must be (${table.key})`;
  if (wrong === undefined) return;
  throw new EkkoError(
    'store-failed',
    `Table ${table.name} in ${url} cannot keep ${table.purpose}: ${wrong}. Make it as docs/operations.md, ${table.section}, says.`,
  );
}

import { setTimeout as pause } from 'node:timers/promises';
import { EkkoError } from '../errors.ts';
import type { NumberedBytes } from './journal.ts';
import type { SqlAddress } from './sql-address.ts';
import type { SqlConnection, SqlDriver, SqlServer } from './sql-driver.ts';
import { sqlFailure, TABLE } from './sql-errors.ts';

/**
 * The table `ekko_journal` of one database, over one connection that is opened when it is needed and closed when it is not: an idle
 * one keeps no process alive. Calls wait for each other. All throw `store-failed`.
 */
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

const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
const IDLE_MS = 5_000;
const LEAVE_MS = 1_000;
const MOST_TRIES = 8;

/** Nothing is connected yet. */
export function openJournalTable(address: SqlAddress): JournalTable {
  const line = openLine(address);
  return {
    url: address.url,
    insert: (vault, position, entry) => line.call('insert into', (c) => c.insert(vault, position, entry)),
    has: (vault, position) => line.call('read', (c) => c.has(vault, position), true),
    page: (vault, from, most, longest) => line.call('read', (c) => c.page(vault, from, most, longest), true),
    remove: (vault) => line.call('delete from', (c) => c.remove(vault), true),
    describe: () => line.call('look at', (c) => c.describe(), true),
    close: line.close,
  };
}

async function driverOf({ kind }: SqlAddress): Promise<SqlDriver> {
  // Loaded only where one is needed: most vaults need none.
  if (kind === 'mariadb') return (await import('./mariadb-driver.ts')).mariadbDriver;
  return (await import('./postgres-driver.ts')).postgresDriver;
}

type Work<T> = (connection: SqlConnection) => Promise<T>;

interface Line {
  /** `what`: `insert into`. `repeatable`: does no harm when it is done twice, so a lost connection is opened anew. */
  call<T>(what: string, work: Work<T>, repeatable?: boolean): Promise<T>;
  close(): Promise<void>;
}

function openLine(address: SqlAddress): Line {
  const held = holdConnection(address);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    call: (what, work, repeatable = false) => inTurn(() => persist(address, what, repeatable, () => held.use(work))),
    close: () => inTurn(held.close),
  };
}

/** Does `attempt` again where that can do no harm; says in words why it failed. */
async function persist<T>(
  address: SqlAddress,
  what: string,
  repeatable: boolean,
  attempt: () => Promise<T>,
): Promise<T> {
  const driver = await driverOf(address);
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (cause) {
      if (cause instanceof EkkoError) throw cause;
      const fault = driver.faultOf(cause);
      const again = fault.kind === 'again' ? tries < MOST_TRIES : fault.kind === 'lost' && repeatable && tries === 1;
      if (!again) throw sqlFailure(address, what, fault, cause);
      await pause(Math.random() * 2 ** tries);
    }
  }
}

/** One connection, opened by the first that needs it, and given up by whoever fails with it: nobody knows what state it is in then. */
function holdConnection(address: SqlAddress) {
  let connection: SqlConnection | undefined;
  let idle: NodeJS.Timeout | undefined;

  const use = async <T>(work: Work<T>): Promise<T> => {
    if (connection?.socket.destroyed) connection = undefined;
    connection ??= await connect(address, await driverOf(address));
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
async function connect(address: SqlAddress, driver: SqlDriver): Promise<SqlConnection> {
  let connection: SqlConnection | undefined;
  try {
    connection = await driver.connect(address, CONNECT_MS);
    await answered(prepareTable(address, connection), ANSWER_MS);
    return connection;
  } catch (cause) {
    connection?.socket.destroy();
    if (cause instanceof EkkoError) throw cause;
    const fault = driver.faultOf(cause);
    // The statement itself was not sent: it may be tried again, and surely was not done.
    if (fault.kind === 'again') throw cause;
    throw sqlFailure(address, 'open', fault.kind === 'lost' ? { ...fault, kind: 'unreachable' } : fault, cause);
  }
}

async function prepareTable({ url }: SqlAddress, connection: SqlConnection): Promise<void> {
  let layout = await connection.layout();
  if (layout === undefined) {
    const failure: unknown = await connection.create().then(
      () => undefined,
      (error: unknown) => error,
    );
    layout = await connection.layout();
    // Of several that create it at once one may be told that it is there.
    if (layout === undefined) throw failure;
  }
  const { primaryKey, unsafe } = layout;
  const wrong = primaryKey === KEY ? unsafe : `its primary key is (${primaryKey}), it must be (${KEY})`;
  if (wrong === undefined) return;
  throw new EkkoError(
    'store-failed',
    `Table ${TABLE} in ${url} cannot keep a journal: ${wrong}. Make it as docs/operations.md, "Journal", says.`,
  );
}

const KEY = 'vault,position';

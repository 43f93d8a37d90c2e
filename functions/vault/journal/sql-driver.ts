import type { Socket } from 'node:net';
import type { NumberedBytes } from './journal.ts';
import type { SqlAddress } from './sql-address.ts';

/** What speaks to one kind of database server. */
export interface SqlDriver {
  /** Logs in, and makes the session one in which each statement is a durable transaction of its own. */
  connect(address: SqlAddress, timeoutMs: number): Promise<SqlConnection>;
  faultOf(error: unknown): SqlFault;
}

/** The statements of a SQL journal, one at a time. They throw errors of the driver. */
export interface SqlConnection {
  /** The TCP socket below; destroying it ends the connection at once. */
  readonly socket: Socket;
  /** Undefined when there is no table. */
  layout(): Promise<TableLayout | undefined>;
  /** Makes the table; it may be there already. */
  create(): Promise<void>;
  /** Whether the entry was inserted: no when the position is taken, or the one before it is not. */
  insert(vault: string, position: number, entry: Uint8Array): Promise<boolean>;
  has(vault: string, position: number): Promise<boolean>;
  /** The first `most` rows from position `from` on, ascending; of each entry at most `longest` bytes. */
  page(vault: string, from: number, most: number, longest: number): Promise<NumberedBytes[]>;
  /** Removes all rows of a vault. */
  remove(vault: string): Promise<void>;
  describe(): Promise<SqlServer>;
  /** Takes leave of the server. */
  end(): Promise<void>;
}

export interface TableLayout {
  /** Names of columns, joined by commas. */
  readonly primaryKey: string;
  /** Why the table would not survive a crash; undefined if it does. */
  readonly unsafe: string | undefined;
}

/** What an error means. */
export interface SqlFault {
  readonly kind: SqlFaultKind;
  /** The server's or the system's own words; they hold no credential and no entry. */
  readonly words: string;
}

/** `again`: rolled back for sure, it may be tried anew. `lost`: nobody knows whether it was done. */
export type SqlFaultKind =
  | 'again'
  | 'lost'
  | 'unreachable'
  | 'unknown-host'
  | 'tls'
  | 'login'
  | 'no-database'
  | 'no-right'
  | 'read-only'
  | 'full'
  | 'too-many'
  | 'too-long'
  | 'other';

/** The server behind a connection, for people. */
export interface SqlServer {
  /** `MariaDB 10.11.19`. */
  readonly product: string;
  /** Settings under which an answered commit can be lost: a sentence each. */
  readonly doubts: readonly string[];
}

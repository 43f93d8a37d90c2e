import type { Socket } from 'node:net';
import type { SqlAddress } from './sql-address.ts';

/** What speaks to one kind of database server. */
export interface SqlDriver {
  /** Logs in, and makes the session one in which each statement is a durable transaction of its own. */
  connect(address: SqlAddress, timeoutMs: number): Promise<SqlConnection>;
  faultOf(error: unknown): SqlFault;
}

/** A row by the names of its columns. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** One connection. Each `?` of a statement stands for the next value. Calls are made one at a time; they throw errors of the driver. */
export interface SqlConnection {
  /** The TCP socket below; destroying it ends the connection at once. */
  readonly socket: Socket;
  rows(statement: string, values?: readonly unknown[]): Promise<readonly SqlRow[]>;
  /** How many rows it changed: an insert of a key that is taken changes none. */
  change(statement: string, values: readonly unknown[]): Promise<number>;
  /** Undefined when there is no such table. */
  layout(table: string): Promise<TableLayout | undefined>;
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

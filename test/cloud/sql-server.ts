import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { createConnection } from 'mariadb';
import { Client } from 'pg';
import { startDaemon } from './service.ts';

/** A database server of a test, and how to get in as its owner. */
export interface SqlTestServer {
  readonly kind: 'mariadb' | 'postgresql';
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Where its daemon `server` keeps data and log. */
  readonly folder: string;
  readonly command: readonly [string, ...string[]];
}

const HOME = { mariadb: 'mysql', postgresql: 'postgres' } as const;

/** The URL of a new, empty database. */
export async function newDatabase(server: SqlTestServer): Promise<string> {
  const name = `ekko_${randomBytes(6).toString('hex')}`;
  await runSql(urlOf(server, HOME[server.kind]), `CREATE DATABASE ${name}`);
  return urlOf(server, name);
}

export function urlOf({ kind, user, password, port }: SqlTestServer, database: string): string {
  return `${kind}://${user}:${password}@127.0.0.1:${port}/${database}`;
}

/** Runs one statement over a connection of its own; its rows. */
export async function runSql(
  url: string,
  statement: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const { protocol, hostname: host, port, username: user, password, pathname } = new URL(url);
  const where = { host, port: Number(port), user, password, database: pathname.slice(1) };
  if (protocol === 'postgresql:') {
    const client = new Client(where);
    await client.connect();
    return client
      .query(statement, values)
      .then(({ rows }) => rows)
      .finally(() => client.end());
  }
  // A busy machine takes longer than the second that is usual.
  const connection = await createConnection({ ...where, bigIntAsNumber: true, connectTimeout: 60_000 });
  const rows: unknown = await connection.query(statement, values).finally(() => connection.end());
  return Array.isArray(rows) ? rows : [];
}

const LONGEST_START_MS = 60_000;
const POLL_MS = 50;

/**
 * Starts the server on its data, and waits until it answers. One that gives up is started again: after a crash the children of the one
 * before may still hold on to its memory.
 */
export async function startServer(server: SqlTestServer): Promise<void> {
  let pid = 0;
  for (const end = Date.now() + LONGEST_START_MS; ; await pause(POLL_MS)) {
    if (!existsSync(`/proc/${pid}/exe`)) pid = await startDaemon(server.folder, 'server', server.command);
    try {
      await runSql(urlOf(server, HOME[server.kind]), 'SELECT 1');
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

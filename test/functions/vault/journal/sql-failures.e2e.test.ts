import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { createSqlJournal } from '#vault/journal/sql-journal.ts';
import { openJournalTable } from '#vault/journal/sql-table.ts';
import { parseSqlAddress } from '#vault/sql/sql-address.ts';
import { useMariadb, useTlsMariadb } from '../../../cloud/mariadb.ts';
import { usePostgres, useTlsPostgres } from '../../../cloud/postgres.ts';
import { freePort } from '../../../cloud/service.ts';
import { newDatabase, runSql, type SqlTestServer, urlOf } from '../../../cloud/sql-server.ts';
import { checkout, lacks } from '../../../setup/cache.ts';

const SERVERS = [
  { name: 'MariaDB', need: 'mariadb', use: useMariadb, useTls: useTlsMariadb },
  { name: 'PostgreSQL', need: 'postgres', use: usePostgres, useTls: useTlsPostgres },
] as const;

const VAULT = '0'.repeat(32);

/** What an append to a fresh journal at a URL says. */
async function appendAt(url: string): Promise<unknown> {
  const table = openJournalTable(parseSqlAddress(url, 'The test'));
  return createSqlJournal(table, VAULT)
    .append(1, Buffer.from('x'))
    .catch((error: unknown) => error)
    .finally(() => table.close());
}

const refusal = (words: RegExp) =>
  expect.objectContaining({
    code: 'store-failed',
    message: expect.stringMatching(new RegExp(`^(?!.*not-secret).*${words.source}`, 's')),
  });

for (const { name, need, use, useTls } of SERVERS) {
  describe.skipIf(lacks(need))(`a journal in ${name} that cannot be written to`, () => {
    let server: SqlTestServer;
    let url: string;
    beforeAll(async () => {
      server = await use();
      url = await newDatabase(server);
    });
    const database = () => new URL(url).pathname.slice(1);

    /** The URL of a fresh user with these rights in the database, `%` for its name. */
    const urlOfUser = async (...grants: string[]) => {
      const user = `u${randomBytes(6).toString('hex')}`;
      const [named, made] =
        server.kind === 'mariadb'
          ? [`'${user}'@'127.0.0.1'`, `CREATE USER '${user}'@'127.0.0.1' IDENTIFIED BY 'not-secret'`]
          : [user, `CREATE ROLE ${user} LOGIN PASSWORD 'not-secret'`];
      for (const statement of [made, ...grants]) await runSql(url, statement.replaceAll('%', named));
      return urlOf({ ...server, user }, database());
    };
    const RIGHTS = {
      mariadb: 'GRANT SELECT, INSERT ON ekko_journal TO %',
      postgresql: 'GRANT SELECT, INSERT ON ekko_journal TO %',
    };

    test('because nothing listens there', async () => {
      const nowhere = urlOf({ ...server, port: await freePort() }, database());
      expect(await appendAt(nowhere)).toEqual(
        refusal(/ECONNREFUSED.*points, show, restore and verify work without it/),
      );
    });

    test('because the host is unknown', async () => {
      const unknown = url.replace('127.0.0.1', 'nowhere.invalid');
      expect(await appendAt(`${unknown}?sslmode=disable`)).toEqual(refusal(/nowhere\.invalid.*Correct the host/));
    });

    test('because something else listens there', { timeout: 60_000 }, async () => {
      const odd = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      odd.listen(0, '127.0.0.1');
      await once(odd, 'listening');
      const address = odd.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      expect(await appendAt(urlOf({ ...server, port }, database()))).toMatchObject({ code: 'store-failed' });
      odd.close();
    });

    test('because the password is wrong', async () => {
      const wrong = urlOf({ ...server, password: 'not-secret-at-all' }, database());
      expect(await appendAt(wrong)).toEqual(refusal(/Correct user and password/));
    });

    test('because there is no such database', async () => {
      expect(await appendAt(urlOf(server, 'nowhere'))).toEqual(refusal(/Make the database/));
    });

    test('because the server speaks no TLS', async () => {
      expect(await appendAt(`${url}?sslmode=require`)).toEqual(refusal(/(ssl|SSL).*sslmode=disable/));
    });

    test('because the user may not make the table; with the right to select and insert it may keep a journal', async () => {
      const grant =
        server.kind === 'mariadb' ? `GRANT SELECT ON ${database()}.other TO %` : 'GRANT SELECT ON other TO %';
      await runSql(url, 'CREATE TABLE other (a INT)');
      if (server.kind === 'postgresql') await runSql(url, 'REVOKE CREATE ON SCHEMA public FROM PUBLIC');
      const poor = await urlOfUser(grant);
      expect(await appendAt(poor)).toEqual(refusal(/to select and insert in table ekko_journal.*docs\/operations\.md/));
      expect(await appendAt(url)).toBe('created');
      expect(await appendAt(poor)).toEqual(refusal(/to select and insert in table ekko_journal/));
      const enough = await urlOfUser(RIGHTS[server.kind]);
      expect(await appendAt(enough)).toBe('exists');
    });

    test('because its user may only read', async () => {
      await appendAt(url);
      const reader = await urlOfUser('GRANT SELECT ON ekko_journal TO %');
      expect(await appendAt(reader)).toEqual(refusal(/to select and insert/));
    });

    test.each([
      ['has no primary key', 'vault CHAR(32), position BIGINT, entry %', ''],
      ['has another primary key', 'vault CHAR(32), position BIGINT PRIMARY KEY, entry %', ''],
      [
        'has its primary key in another order',
        'vault CHAR(32), position BIGINT, entry %, PRIMARY KEY (position, vault)',
        '',
      ],
      [
        'would not survive a crash',
        'vault CHAR(32), position BIGINT, entry %, PRIMARY KEY (vault, position)',
        'unsafe',
      ],
    ])('because a table that somebody made %s', async (_, columns, how) => {
      const fresh = await newDatabase(server);
      const typed = columns.replace('%', server.kind === 'mariadb' ? 'LONGBLOB' : 'BYTEA');
      const unsafe = how === 'unsafe';
      const kind = unsafe && server.kind === 'postgresql' ? 'UNLOGGED TABLE' : 'TABLE';
      await runSql(
        fresh,
        `CREATE ${kind} ekko_journal (${typed})${unsafe && server.kind === 'mariadb' ? ' ENGINE=MyISAM' : ''}`,
      );
      expect(await appendAt(fresh)).toEqual(refusal(/Table ekko_journal in .* cannot keep a journal/));
      expect(await runSql(fresh, 'SELECT * FROM ekko_journal')).toEqual([]);
    });

    test('because the server takes no writes', async () => {
      if (server.kind === 'mariadb') return;
      await appendAt(url);
      const user = await urlOfUser(RIGHTS.postgresql, 'ALTER ROLE % SET default_transaction_read_only = on');
      expect(await appendAt(user)).toEqual(refusal(/Name the server that takes writes/));
    });

    test('says so by itself: connections that end while nothing is asked are no error', async () => {
      const table = openJournalTable(parseSqlAddress(url, 'The test'));
      const journal = createSqlJournal(table, randomBytes(16).toString('hex'));
      await journal.append(1, Buffer.from('one'));
      await endConnections(url);
      expect(await Array.fromAsync(journal.read(1))).toHaveLength(1);
      await endConnections(url);
      expect(await journal.append(2, Buffer.from('two')).catch(() => 'lost')).toMatch(/created|lost/);
      expect((await Array.fromAsync(journal.read(1))).length).toBeLessThanOrEqual(2);
      await table.close();
    });

    test('keeps no process alive', async () => {
      const module = (path: string) => JSON.stringify(join(checkout, 'functions/vault', path));
      const program = `import { parseSqlAddress } from ${module('sql/sql-address.ts')};
        import { openJournalTable } from ${module('journal/sql-table.ts')};
        const table = openJournalTable(parseSqlAddress(${JSON.stringify(url)}, 'x'));
        const { product } = await table.describe();
        console.log(JSON.stringify({ product, waits: process.getActiveResourcesInfo().filter((each) => /TCP|Timeout/.test(each)) }));`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: checkout });
      const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
      expect({ errors, code }).toEqual({ errors: '', code: 0 });
      expect(JSON.parse(output)).toEqual({ product: expect.stringContaining(name), waits: [] });
    });
  });

  describe.skipIf(lacks(need))(`a journal in ${name} behind TLS`, () => {
    let server: SqlTestServer;
    let url: string;
    beforeAll(async () => {
      server = await useTls();
      url = await newDatabase(server);
    });
    const trusting = () => `sslrootcert=${join(server.folder, 'certificate.pem')}`;

    test('is used when the certificate is good for the name, and not when it is good for another one', async () => {
      const named = url.replace('127.0.0.1', 'localhost');
      expect(await appendAt(`${named}?sslmode=verify-full&${trusting()}`)).toBe('created');
      expect(await appendAt(`${url}?sslmode=verify-full&${trusting()}`)).toEqual(refusal(/altnames.*certificate/));
    });

    test('is not used when nobody vouches for it, unless that is said', async () => {
      expect(await appendAt(`${url}?sslmode=verify-full`)).toEqual(refusal(/certificate.*sslrootcert/));
      expect(await appendAt(`${url}?sslmode=require`)).toMatch(/created|exists/);
    });
  });
}

/** Ends all other connections to the database, as an operator would. */
async function endConnections(url: string): Promise<void> {
  if (url.startsWith('postgresql')) {
    await runSql(
      url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    return;
  }
  const others = await runSql(
    url,
    'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
  );
  for (const row of others) await runSql(url, `KILL ${row['id']}`);
}

import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMariadb } from '../../cloud/mariadb.ts';
import { usePostgres } from '../../cloud/postgres.ts';
import { newDatabase, runSql, type SqlTestServer, urlOf } from '../../cloud/sql-server.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';

const SERVERS = [
  { name: 'MariaDB', need: 'mariadb', use: useMariadb },
  { name: 'PostgreSQL', need: 'postgres', use: usePostgres },
] as const;

for (const { name, need, use } of SERVERS) {
  describe.skipIf(lacks(need))(`a vault with its journal in ${name}`, () => {
    let desk: Desk;
    let server: SqlTestServer;
    let url: string;

    beforeAll(async () => {
      [desk, server] = await Promise.all([openDesk(), use()]);
      url = await newDatabase(server);
      await nameDatabase('journal', url);
      await writeDisk(1);
    });
    afterAll(() => desk.remove());

    const nameDatabase = (file: string, at: string) => writeFile(desk.path(file), `${at}\n`, { mode: 0o600 });
    const writeDisk = (fill: number) => writeFile(desk.path('disk.img'), Buffer.alloc(300_000, fill));
    const ekko = (...args: string[]) => desk.run(args);
    const withSql = (...args: string[]) => desk.run([...args, '--journal-file', 'journal']);
    const document = async (...args: string[]) => JSON.parse((await desk.run([...args, '--json'])).output);
    const rows = async (at = url) => (await runSql(at, 'SELECT position FROM ekko_journal')).length;
    const copies = async () => (await readdir(desk.path('vault/journal'))).length;
    /** How many entries there are: as many in the database as in the copy. */
    const entriesInBoth = async () => {
      const count = await rows();
      expect(await copies()).toBe(count);
      return count;
    };

    test('doctor says before it is made that it can be', async () => {
      const { code, output } = await withSql('doctor', 'vault');
      expect(output).toMatch(
        new RegExp(`SQL journal +${name} \\d+\\.\\d+.*, ${server.kind}://127.0.0.1:${server.port}/`),
      );
      expect(output).toMatch(/^ok +8 SQL writers +8 races for one position, one winner each/m);
      expect(output).toMatch(/^ok +SQL clean-up/m);
      expect(output).not.toContain('not-secret');
      // The servers of tests do not flush, and that is said.
      expect(output).toMatch(/fsync is off|innodb_flush_log_at_trx_commit is 0/);
      expect(code).toBe(0);
      expect(await rows()).toBe(0);
    });

    test('is made by init, and says where its journal is', async () => {
      const { code, output, errors } = await withSql('init', 'vault', '--no-escrow');
      expect({ code, errors }).toEqual({ code: 0, errors: '' });
      expect(output).toMatch(/journal +in the database that .*journal names/);
      expect(JSON.parse(await readFile(desk.path('vault/vault.json'), 'utf8'))).toMatchObject({ journal: 'sql' });
      expect(await entriesInBoth()).toBe(2);
    });

    test('is backed up into, and restored from', async () => {
      expect(await withSql('backup', 'vault', 'disk.img')).toMatchObject({ code: 0, errors: '' });
      expect(await entriesInBoth()).toBeGreaterThanOrEqual(4);
      expect(await withSql('restore', 'vault', 'latest', 'one.img')).toMatchObject({ code: 0, errors: '' });
      expect((await readFile(desk.path('one.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
    });

    test('shows its journal', async () => {
      const { code, output } = await withSql('journal', 'show', 'vault', '--from', '3', '--to', '4');
      expect(code).toBe(0);
      expect(output).toMatch(/^ +3 +20.* run-started +run \d{8}-\d{6}-[0-9a-f]{6}, group default, disks disk/m);
      expect(output).toMatch(/^ +4 +20.* point-committed/m);
      expect(output).not.toContain('vault-created');
      const { head, entries } = await document('journal', 'show', 'vault', '--from', '1');
      expect(head).toBe(await entriesInBoth());
      const types = entries.map((entry: { type: string }) => entry.type);
      expect(types.slice(0, 4)).toEqual(['vault-created', 'escrow-waived', 'run-started', 'point-committed']);
    });

    test('is read without the database, and that is said; nothing is written then', async () => {
      const before = await entriesInBoth();
      const { code, output, errors } = await ekko('points', 'vault');
      const said = expect.stringContaining(`from its copy in the vault, up to entry ${before}`);
      expect({ code, errors }).toEqual({ code: 0, errors: said });
      expect(output).toContain('1 restore point');
      expect(await ekko('restore', 'vault', 'latest', 'two.img')).toMatchObject({ code: 0 });
      expect(await ekko('verify', 'vault')).toMatchObject({
        code: 0,
        errors: expect.stringContaining('from its copy'),
      });
      const refused = await ekko('backup', 'vault', 'disk.img');
      expect(refused).toMatchObject({ code: 2, errors: expect.stringContaining('Name it by --journal-file') });
      expect(await entriesInBoth()).toBe(before);
    });

    test('refuses a journal file that others may read, and a URL in its place', async () => {
      await nameDatabase('open', url);
      await chmod(desk.path('open'), 0o644);
      const open = await desk.run(['points', 'vault', '--journal-file', 'open']);
      expect(open).toMatchObject({ code: 2, errors: expect.stringContaining('chmod 600') });
      const argument = await desk.run(['points', 'vault', '--journal-file', url]);
      expect(argument).toMatchObject({ code: 2, errors: expect.stringContaining('Write the URL into a file') });
      expect(argument.errors).not.toContain('not-secret');
    });

    test('is not written to when the database is another one', async () => {
      const before = await copies();
      const other = await newDatabase(server);
      await nameDatabase('other', other);
      const { code, errors } = await desk.run(['backup', 'vault', 'disk.img', '--journal-file', 'other']);
      const words = new RegExp(`has no entry of this vault.*entry ${before}`);
      expect({ code, errors }).toEqual({ code: 1, errors: expect.stringMatching(words) });
      expect([await rows(other), await copies()]).toEqual([0, before]);
    });

    test('is restored when the database is gone, and goes on in a fresh one', async () => {
      await runSql(
        urlOf(server, server.kind === 'mariadb' ? 'mysql' : 'postgres'),
        `DROP DATABASE ${new URL(url).pathname.slice(1)}`,
      );
      const gone = await withSql('backup', 'vault', 'disk.img');
      expect(gone).toMatchObject({ code: 1, errors: expect.stringContaining('Make the database') });
      expect(await ekko('restore', 'vault', 'latest', 'three.img')).toMatchObject({ code: 0 });
      expect((await readFile(desk.path('three.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);

      url = await newDatabase(server);
      await nameDatabase('journal', url);
      const all = await copies();
      const adopted = await withSql('journal', 'adopt', 'vault');
      expect(adopted).toMatchObject({ code: 0, output: expect.stringContaining(`${all} entries of ${all} copied to`) });
      expect(await withSql('journal', 'adopt', 'vault')).toMatchObject({
        code: 0,
        output: expect.stringContaining('had every entry already'),
      });

      await writeDisk(2);
      expect(await withSql('backup', 'vault', 'disk.img')).toMatchObject({ code: 0, errors: '' });
      expect(await withSql('restore', 'vault', 'latest', 'four.img')).toMatchObject({ code: 0 });
      expect((await readFile(desk.path('four.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
      expect(await entriesInBoth()).toBeGreaterThanOrEqual(all + 2);
    });

    test('is not written to when the database was set back, until it is brought up to date', async () => {
      const all = await entriesInBoth();
      await runSql(url, `DELETE FROM ekko_journal WHERE position > ${all - 2}`);
      const { code, errors } = await withSql('backup', 'vault', 'disk.img');
      const words = new RegExp(`ends at entry ${all - 2},.*to entry ${all}:.*adopt`);
      expect({ code, errors }).toEqual({ code: 1, errors: expect.stringMatching(words) });
      const examined = await withSql('doctor', 'vault');
      expect(examined).toMatchObject({ code: 3, output: expect.stringMatching(/^BAD +key .*ends at entry/m) });
      expect(await withSql('journal', 'adopt', 'vault')).toMatchObject({ code: 0 });
      expect(await withSql('backup', 'vault', 'disk.img')).toMatchObject({ code: 0 });
      expect(await withSql('doctor', 'vault')).toMatchObject({ code: 0 });
      expect(await entriesInBoth()).toBeGreaterThanOrEqual(all + 2);
    });

    test('loses nothing when the copies are lost', async () => {
      await rm(desk.path('vault/journal'), { recursive: true });
      expect(await withSql('verify', 'vault')).toMatchObject({ code: 0 });
      await entriesInBoth();
    });
  });
}

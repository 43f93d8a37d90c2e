import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMirroredJournal, createMirrorReader } from '#vault/journal/mirrored-journal.ts';
import { createSqlJournal } from '#vault/journal/sql-journal.ts';
import { type JournalTable, openJournalTable } from '#vault/journal/sql-table.ts';
import { openVaultJournal } from '#vault/journal/vault-journal.ts';
import { parseSqlAddress } from '#vault/sql/sql-address.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import { useDurableMariadb, useMariadb } from '../../../cloud/mariadb.ts';
import { useDurablePostgres, usePostgres } from '../../../cloud/postgres.ts';
import { stopDaemon } from '../../../cloud/service.ts';
import { newDatabase, runSql, type SqlTestServer, startServer } from '../../../cloud/sql-server.ts';
import { journalConformance } from '../../../conformance/journal.ts';
import { openCuttingProxy } from '../../../cutting-proxy.ts';
import { keysIn } from '../../../damage.ts';
import { lacks } from '../../../setup/cache.ts';
import { created, runFor, started } from './histories.ts';
import { keyring, readAll } from './histories-on-stores.ts';

const SERVERS = [
  { name: 'MariaDB', need: 'mariadb', use: useMariadb, useDurable: useDurableMariadb },
  { name: 'PostgreSQL', need: 'postgres', use: usePostgres, useDurable: useDurablePostgres },
] as const;

const MIB = 1024 * 1024;
const newVault = () => randomBytes(16).toString('hex');

/** Opens tables, each with a connection of its own, and closes them all. */
function openTables(url: string) {
  const opened: JournalTable[] = [];
  const open = (at = url) => {
    const table = openJournalTable(parseSqlAddress(at, 'The test'));
    opened.push(table);
    return table;
  };
  return { open, close: () => Promise.all(opened.map((table) => table.close())) };
}

for (const { name, need, use, useDurable } of SERVERS) {
  const skip = lacks(need);

  journalConformance(
    `a table in ${name}`,
    async () => {
      const vault = newVault();
      const url = await newDatabase(await use());
      const tables = openTables(url);
      return {
        open: () => createSqlJournal(tables.open(), vault),
        lose: async (position) => void (await runSql(url, `DELETE FROM ekko_journal WHERE position = ${position}`)),
        close: async () => void (await tables.close()),
      };
    },
    { skip, races: 200 },
  );

  journalConformance(
    `a table in ${name} with its copy in the vault`,
    async () => {
      const vault = newVault();
      const url = await newDatabase(await use());
      const tables = openTables(url);
      const store = openMemoryStore();
      return {
        open: () => createMirroredJournal(createSqlJournal(tables.open(), vault), store),
        lose: async (position) => void (await runSql(url, `DELETE FROM ekko_journal WHERE position = ${position}`)),
        close: async () => void (await tables.close()),
      };
    },
    { skip },
  );

  describe.skipIf(skip)(`a journal in ${name}`, () => {
    let server: SqlTestServer;
    let url: string;
    let tables: ReturnType<typeof openTables>;
    beforeAll(async () => {
      server = await use();
      url = await newDatabase(server);
      tables = openTables(url);
    });
    afterAll(() => tables.close());

    test('does not see the rows of other vaults', async () => {
      const [one, other] = [newVault(), newVault()].map((vault) => createSqlJournal(tables.open(), vault));
      await one?.append(1, Buffer.from('one'));
      await other?.append(1, Buffer.from('other'));
      await other?.append(2, Buffer.from('other'));
      expect(await Array.fromAsync(one?.read(1) ?? [])).toEqual([{ position: 1, bytes: Buffer.from('one') }]);
    });

    test('takes no entry whose predecessor is not there', async () => {
      const journal = createSqlJournal(tables.open(), newVault());
      await journal.append(1, Buffer.from('one'));
      await expect(journal.append(3, Buffer.from('three'))).rejects.toMatchObject({
        code: 'journal-broken',
        message: expect.stringMatching(/2 is missing, but it was there before/),
      });
      expect(await readAll(journal)).toEqual([[1, 'one']]);
    });

    test('is made once by many that find no table', async () => {
      const fresh = openTables(await newDatabase(server));
      const vaults = Array.from({ length: 8 }, newVault);
      const answers = vaults.map((vault) => createSqlJournal(fresh.open(), vault).append(1, Buffer.from('x')));
      expect(new Set(await Promise.all(answers))).toEqual(new Set(['created']));
      await fresh.close();
    });

    test('of 5,000 entries, some of a MiB, is read in pages: what it holds does not grow', async () => {
      const vault = newVault();
      const table = tables.open();
      const pages: number[] = [];
      const page: JournalTable['page'] = async (...args) => {
        const found = await table.page(...args);
        pages.push(found.reduce((sum, { bytes }) => sum + bytes.length, 0));
        return found;
      };
      const journal = createSqlJournal({ ...table, page }, vault);
      await journal.append(1, Buffer.alloc(MIB, 1));
      await copyRow(url, vault, 5000);
      let [count, bytes] = [0, 0];
      for await (const entry of journal.read(1)) {
        count++;
        bytes += entry.bytes.length;
        // One page is held at a time.
        expect(pages.length).toBe(Math.ceil(count / 16));
      }
      expect([count, bytes]).toEqual([5000, 50 * MIB + 4950 * 100]);
      expect(Math.max(...pages)).toBeLessThanOrEqual(16 * (MIB + 1));
    });

    test('shows no more of an entry than is needed to see that it is too long', async () => {
      const vault = newVault();
      const journal = createSqlJournal(tables.open(), vault);
      await journal.append(1, Buffer.alloc(3 * MIB, 1));
      expect((await Array.fromAsync(journal.read(1))).map((entry) => entry.bytes.length)).toEqual([MIB + 1]);
    });

    test('of which the answer to an insert was lost reports that, and has the entry once', async () => {
      const proxy = await openCuttingProxy(server.port);
      const vault = newVault();
      const cut = createSqlJournal(tables.open(url.replace(`:${server.port}/`, `:${proxy.port}/`)), vault);
      await cut.append(1, Buffer.from('one'));
      proxy.cutAfter('two');
      await expect(cut.append(2, Buffer.from('two'))).rejects.toMatchObject({ code: 'store-failed' });
      expect(proxy.cuts()).toBe(1);
      expect(await readAll(cut)).toEqual([
        [1, 'one'],
        [2, 'two'],
      ]);
      await proxy.close();
    });

    test('of which the answer to an insert was lost is understood by the vault: the append resolves', async () => {
      const proxy = await openCuttingProxy(server.port);
      const store = openMemoryStore();
      const sql = createSqlJournal(tables.open(url.replace(`:${server.port}/`, `:${proxy.port}/`)), newVault());
      const journal = createMirroredJournal(sql, store);
      const vault = await openVaultJournal({ journal, store, keyring });
      await vault.append(() => created);
      for (let n = 2; n <= 4; n++) {
        proxy.cutAfter('EKKOJNL1');
        await vault.append(() => started(n));
      }
      expect(proxy.cuts()).toBe(3);
      expect([...vault.state().openRuns.keys()]).toEqual([2, 3, 4].map(runFor));
      expect(await readAll(createMirrorReader(store))).toEqual(await readAll(sql));
      await proxy.close();
    });

    test('of which many processes append at once has every entry once, in a chain that holds', async () => {
      const store = openMemoryStore();
      const vault = newVault();
      const open = async () => {
        const journal = createMirroredJournal(createSqlJournal(tables.open(), vault), store);
        return openVaultJournal({ journal, store, keyring });
      };
      await (await open()).append(() => created);
      const handles = await Promise.all(Array.from({ length: 8 }, open));
      await Promise.all(
        handles.map(async (handle, i) => {
          for (let n = 0; n < 5; n++) await handle.append(() => started(100 + i * 5 + n));
        }),
      );
      await store.remove(await keysIn(store, Folder.states));
      const state = (await open()).state();
      expect(state.position).toBe(41);
      expect([...state.openRuns.keys()].sort()).toEqual(Array.from({ length: 40 }, (_, n) => runFor(100 + n)).sort());
    });
  });

  describe.skipIf(skip)(`a killed ${name}`, () => {
    test('has after its restart every entry that was answered', { timeout: 120_000 }, async () => {
      const server = await useDurable(`${need}-killed-${randomBytes(3).toString('hex')}`);
      const tables = openTables(await newDatabase(server));
      const vaults = Array.from({ length: 4 }, newVault);
      for (let round = 0; round < 3; round++) {
        let answered = 0;
        const journals = vaults.map((vault) => createSqlJournal(tables.open(), vault));
        // All of them before any writes: on a busy machine the others would have the server killed while one still looks.
        const heads = (await Promise.all(journals.map((journal) => readAll(journal)))).map((entries) => entries.length);
        const enough = Promise.withResolvers<void>();
        const writers = journals.map(async (journal, i) => {
          for (let next = (heads[i] ?? 0) + 1; ; next++) {
            const answer = await journal.append(next, Buffer.from(`entry ${next}`)).catch(() => 'failed' as const);
            if (answer === 'failed') return;
            expect(answer).toBe('created');
            heads[i] = next;
            if (++answered === 40) enough.resolve();
          }
        });
        // Should all of them fail before, the test must not wait for what does not come any more.
        await Promise.race([enough.promise, Promise.all(writers)]);
        await stopDaemon(server.folder, 'server', 'SIGKILL');
        await Promise.all(writers);
        expect(answered).toBeGreaterThanOrEqual(40);
        await startServer(server);
        for (const [i, vault] of vaults.entries()) {
          const found = await readAll(createSqlJournal(tables.open(), vault));
          // The insert that broke off may have been done.
          expect(found.length).toBeGreaterThanOrEqual(heads[i] ?? Number.NaN);
          expect(found.length).toBeLessThanOrEqual((heads[i] ?? 0) + 1);
          expect(found).toEqual(found.map((_, at) => [at + 1, `entry ${at + 1}`]));
        }
      }
      await tables.close();
    });
  });
}

/** Makes a journal of `count` entries from its first row: each hundredth is a copy of it, the others are its first 100 bytes. */
async function copyRow(url: string, vault: string, count: number): Promise<void> {
  const numbers = url.startsWith('postgresql')
    ? `SELECT n FROM generate_series(2, ${count}) AS n`
    : `SELECT seq AS n FROM seq_2_to_${count}`;
  await runSql(
    url,
    `INSERT INTO ekko_journal (vault, position, entry)
      SELECT j.vault, s.n, CASE WHEN s.n % 100 = 1 THEN j.entry ELSE substring(j.entry, 1, 100) END
      FROM ekko_journal j CROSS JOIN (${numbers}) s WHERE j.vault = '${vault}' AND j.position = 1`,
  );
}

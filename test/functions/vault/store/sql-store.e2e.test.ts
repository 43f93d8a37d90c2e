import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSqlAddress } from '#vault/sql/sql-address.ts';
import { openSqlStore, type SqlStore } from '#vault/store/sql-store.ts';
import { openRegistry } from '../../../../functions/catalog/registry/registry.ts';
import { useMariadb } from '../../../cloud/mariadb.ts';
import { usePostgres } from '../../../cloud/postgres.ts';
import { newDatabase, runSql, type SqlTestServer, urlOf } from '../../../cloud/sql-server.ts';
import { describeObjectStore, listAll } from '../../../conformance/object-store.ts';
import { lacks } from '../../../setup/cache.ts';

const SERVERS = [
  { name: 'MariaDB', need: 'mariadb', use: useMariadb },
  { name: 'PostgreSQL', need: 'postgres', use: usePostgres },
] as const;

for (const { name, need, use } of SERVERS) {
  describe.skipIf(lacks(need))(`objects in a table of ${name}`, () => {
    let server: SqlTestServer;
    let url: string;
    const stores: SqlStore[] = [];
    const open = (at = url) => {
      const store = openSqlStore(parseSqlAddress(at, 'The test'));
      stores.push(store);
      return store;
    };

    beforeAll(async () => {
      server = await use();
      url = await newDatabase(server);
    });

    afterAll(async () => void (await Promise.all(stores.map((store) => store.close()))));

    // A packet of MariaDB has at most 16 MiB; a record of the registry 1.
    describeObjectStore(name, async () => open(), { listed: 2300, largest: 4 });

    test('of one record that two processes change at once one stands, each time, and both know which', async () => {
      const registries = [open(), open(), open()].map(openRegistry);
      for (let round = 0; round < 100; round++) {
        const path = ['restores', 'p', `r${round}`];
        const told = await Promise.all(registries.map((registry, n) => registry.write(path, { n }, 0)));
        const winner = told.indexOf('written');
        expect(told.filter((each) => each === 'written')).toHaveLength(1);
        expect(await registries[2]?.read(path)).toEqual({ version: 1, record: { n: winner } });
      }
    });

    test('is made once by many that find no table', async () => {
      const fresh = await newDatabase(server);
      const told = await Promise.all(Array.from({ length: 8 }, (_, n) => open(fresh).create(`k${n}`, [Buffer.of(n)])));
      expect(new Set(told)).toEqual(new Set(['created']));
      expect(await listAll(open(fresh), '')).toHaveLength(8);
    });

    test('says which rights its user lacks, and no password', async () => {
      await listAll(open(), '');
      const user = `u${randomBytes(6).toString('hex')}`;
      const [made, may] =
        server.kind === 'mariadb'
          ? [
              `CREATE USER '${user}'@'127.0.0.1' IDENTIFIED BY 'not-secret'`,
              `GRANT SELECT ON ekko_registry TO '${user}'@'127.0.0.1'`,
            ]
          : [`CREATE ROLE ${user} LOGIN PASSWORD 'not-secret'`, `GRANT SELECT ON ekko_registry TO ${user}`];
      for (const statement of [made, may]) await runSql(url, statement);
      const reader = open(urlOf({ ...server, user, password: 'not-secret' }, new URL(url).pathname.slice(1)));
      expect(await listAll(reader, 'nothing/')).toEqual([]);
      await expect(reader.create('a', [Buffer.of(1)])).rejects.toMatchObject({
        code: 'store-failed',
        message: expect.stringMatching(
          /^(?!.*not-secret)Cannot insert into the SQL registry .* select, insert and delete in table ekko_registry.*"Registry"/s,
        ),
      });
    });

    test('of a table that somebody made differently nothing is used', async () => {
      const fresh = await newDatabase(server);
      await runSql(
        fresh,
        'CREATE TABLE ekko_registry (name VARCHAR(512), record VARCHAR(10), PRIMARY KEY (name, record))',
      );
      await expect(open(fresh).create('a', [Buffer.of(1)])).rejects.toMatchObject({
        code: 'store-failed',
        message: expect.stringMatching(
          /Table ekko_registry in .* cannot keep a registry: its primary key is \(name,record\).*"Registry"/,
        ),
      });
    });
  });
}

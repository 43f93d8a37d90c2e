import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { cache } from '../setup/cache.ts';
import { useMariadb } from './mariadb.ts';
import { runSql, type SqlTestServer, urlOf } from './sql-server.ts';

/** A database of an OpenStack service. */
export interface OpenstackDatabase {
  /** Unique per use; `<service>_<random>` */
  readonly name: string;
  /** For `[database] connection`. */
  readonly connection: string;
  /** For `runSql`. */
  readonly url: string;
}

/** What makes the tables. */
export interface Schema {
  /** Word of the template's file name. */
  readonly service: string;
  /** Debian packages whose versions decide what the tables are. */
  readonly packages: readonly string[];
  /** Fills the empty database, by the service's own programs. */
  readonly make: (database: OpenstackDatabase) => Promise<void>;
  /** Counts up when `make` makes something else. */
  readonly edition: number;
}

/**
 * A new database with the tables of a service, in the run's MariaDB. The service's own programs take seconds to make them, so what
 * they made is kept, for each version of the packages, and the next time it is copied.
 */
export async function newOpenstackDatabase(schema: Schema): Promise<OpenstackDatabase> {
  const server = await useMariadb();
  await allowManyConnections(server);
  const database = await createDatabase(server, schema.service);
  const template = await templateFile(schema);
  if (existsSync(template)) {
    await runTool(
      'sh',
      ['-c', 'exec mariadb "$@" < "$0"', template, ...clientArguments(server), database.name],
      secret(server),
    );
    return database;
  }
  await schema.make(database);
  await keep(server, database, template);
  return database;
}

/** A service holds a pool of them open, in each of its processes. */
async function allowManyConnections(server: SqlTestServer): Promise<void> {
  await runSql(urlOf(server, 'mysql'), 'SET GLOBAL max_connections = 1000');
}

async function createDatabase(server: SqlTestServer, service: string): Promise<OpenstackDatabase> {
  const name = `${service}_${randomBytes(4).toString('hex')}`;
  await runSql(urlOf(server, 'mysql'), `CREATE DATABASE ${name} CHARACTER SET utf8mb3`);
  const url = urlOf(server, name);
  return { name, url, connection: `${url.replace(/^mariadb:/, 'mysql+pymysql:')}?charset=utf8` };
}

async function templateFile({ service, packages, edition }: Schema): Promise<string> {
  const versions = await runTool('dpkg-query', ['--show', ...packages, 'mariadb-server-core']);
  const digest = createHash('sha256').update(`${edition}\n${versions}`).digest('hex').slice(0, 16);
  return join(cache, 'databases', `${service}-${digest}.sql`);
}

async function keep(server: SqlTestServer, { name }: OpenstackDatabase, template: string): Promise<void> {
  const part = `${template}.${randomBytes(4).toString('hex')}`;
  await mkdir(join(cache, 'databases'), { recursive: true });
  const options = ['--single-transaction', '--skip-comments', '--hex-blob', `--result-file=${part}`];
  await runTool('mariadb-dump', [...clientArguments(server), ...options, name], secret(server));
  await rename(part, template);
}

function clientArguments({ user, port }: SqlTestServer): string[] {
  return ['--no-defaults', '--host=127.0.0.1', `--port=${port}`, `--user=${user}`];
}

const secret = ({ password }: SqlTestServer) => ({ MYSQL_PWD: password });

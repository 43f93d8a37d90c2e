import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeCertificate } from './certificate.ts';
import { freePort, useService } from './service.ts';
import { type SqlTestServer, startServer } from './sql-server.ts';

/** A PostgreSQL that the tests of a run share; each makes its own database. It does not flush: its data need not last. */
export function usePostgres(): Promise<SqlTestServer> {
  return useService('postgres', (folder) => startPostgres(folder, UNSAFE));
}

/** A PostgreSQL of a test's own, which may be killed: what it has committed lasts. */
export function useDurablePostgres(name: string): Promise<SqlTestServer> {
  return useService(name, (folder) => startPostgres(folder, {}));
}

/** A PostgreSQL that speaks TLS, with a certificate of its own in `certificate.pem`. */
export function useTlsPostgres(): Promise<SqlTestServer> {
  return useService('postgres-tls', async (folder) => {
    const { certificate, key } = await makeCertificate(folder);
    if (process.getuid?.() === 0) await chown(key, NOBODY, NOBODY);
    return startPostgres(folder, { ...UNSAFE, ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key });
  });
}

const UNSAFE = { fsync: 'off' };

const PROGRAMS = '/usr/lib/postgresql/15/bin';
/** PostgreSQL refuses to run as root: it is nobody then. */
const NOBODY = 65534;

async function startPostgres(folder: string, more: Readonly<Record<string, string>>): Promise<SqlTestServer> {
  const data = join(folder, 'data');
  const as = await whoRuns(folder, data);
  const port = await freePort();
  const [user, password] = ['ekko', 'not-secret'];
  await writeFile(join(folder, 'password'), password);
  const [first, ...rest] = as('initdb');
  const login = ['-A', 'scram-sha-256', '-U', user, '--pwfile', join(folder, 'password')];
  const args = [...rest, '-D', data, '--no-sync', '-E', 'UTF8', '--no-locale', ...login];
  await promisify(execFile)(first, args, { cwd: '/' });
  const settings = {
    ...{ listen_addresses: '127.0.0.1', port, unix_socket_directories: '', max_connections: 200 },
    ...{ shared_buffers: '16MB', logging_collector: 'off', ...more },
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [...as('postgres'), '-D', data, ...options] as const;
  const server: SqlTestServer = { kind: 'postgresql', port, user, password, folder, command };
  await startServer(server);
  return server;
}

type Command = readonly [string, ...string[]];

/** How to run one of its programs. For root the data is given to nobody; the names of folders are random, and none can be listed. */
async function whoRuns(folder: string, data: string): Promise<(program: string) => Command> {
  if (process.getuid?.() !== 0) return (program) => [join(PROGRAMS, program)];
  for (const each of [dirname(folder), folder]) await chmod(each, 0o711);
  await mkdir(data, { mode: 0o700 });
  await chown(data, NOBODY, NOBODY);
  const as = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  return (program) => ['setpriv', ...as, join(PROGRAMS, program)];
}

import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeCertificate } from './certificate.ts';
import { freePort, useService } from './service.ts';
import { type SqlTestServer, startServer } from './sql-server.ts';

/** A MariaDB that the tests of a run share; each makes its own database. It does not flush: its data need not last. */
export function useMariadb(): Promise<SqlTestServer> {
  return useService('mariadb', (folder) => startMariadb(folder, UNSAFE));
}

/** A MariaDB of a test's own, which may be killed: what it has committed lasts. */
export function useDurableMariadb(name: string): Promise<SqlTestServer> {
  return useService(name, (folder) => startMariadb(folder, []));
}

/** A MariaDB that speaks TLS, with a certificate of its own in `certificate.pem`. */
export function useTlsMariadb(): Promise<SqlTestServer> {
  return useService('mariadb-tls', async (folder) => {
    const { certificate, key } = await makeCertificate(folder);
    return startMariadb(folder, [...UNSAFE, `--ssl-cert=${certificate}`, `--ssl-key=${key}`]);
  });
}

const UNSAFE = ['--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0'];

const PLAIN_INSTALL = ['--no-defaults', '--auth-root-authentication-method=normal', '--skip-test-db'];
/** `bin` and `sbin`: a user's PATH may lack one. */
const SERVER = '/usr/sbin/mariadbd';

async function startMariadb(folder: string, more: readonly string[]): Promise<SqlTestServer> {
  const data = join(folder, 'data');
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  // A server that starts removes what looks like temporary tables, those of its neighbours too.
  const TMPDIR = join(folder, 'tmp');
  await mkdir(TMPDIR);
  const install = [...PLAIN_INSTALL, `--datadir=${data}`, ...asRoot];
  await promisify(execFile)('/usr/bin/mariadb-install-db', install, { env: { ...process.env, TMPDIR } });
  const port = await freePort();
  const options = [
    ...['--no-defaults', ...asRoot, `--datadir=${data}`, `--tmpdir=${TMPDIR}`, `--socket=${join(folder, 'socket')}`],
    ...['--bind-address=127.0.0.1', `--port=${port}`, '--skip-log-bin', '--skip-name-resolve'],
    ...[
      '--max-connections=600',
      '--performance-schema=OFF',
      '--innodb-buffer-pool-size=32M',
      '--innodb-log-file-size=16M',
    ],
    ...more,
    `--init-file=${join(folder, 'owner.sql')}`,
  ];
  const [user, password] = ['ekko', 'not-secret'];
  const server: SqlTestServer = { kind: 'mariadb', port, user, password, folder, command: [SERVER, ...options] };
  await writeOwner(server);
  await startServer(server);
  return server;
}

function writeOwner({ folder, user, password }: SqlTestServer): Promise<void> {
  const owner = `'${user}'@'127.0.0.1'`;
  const made = `CREATE USER IF NOT EXISTS ${owner} IDENTIFIED BY '${password}';`;
  return writeFile(join(folder, 'owner.sql'), `${made}\nGRANT ALL ON *.* TO ${owner} WITH GRANT OPTION;\n`);
}

import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { addService, expectStatus, type KeystoneSettings, type KeystoneUser } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { addServiceUser, authSection, writeConfiguration, wsgiServer } from './openstack-service.ts';
import { freePort, useService } from './service.ts';
import { useSwift } from './swift.ts';

/** A Messaging service in the catalogue of a Keystone. */
export interface ZaqarSettings {
  readonly keystone: KeystoneSettings;
  /** `http://127.0.0.1:<port>`, as in the catalogue; the API is below `/v2`. */
  readonly origin: string;
}

/** A Zaqar that keeps queues in the run's MariaDB and messages in its Swift. */
export function useZaqar(): Promise<ZaqarSettings> {
  return useService('zaqar', startZaqar);
}

const APPLICATION = '/usr/lib/python3/dist-packages/zaqar/transport/wsgi/app.py';

async function startZaqar(folder: string): Promise<ZaqarSettings> {
  const [{ keystone }, database, port] = await Promise.all([useSwift(), newZaqarDatabase(folder), freePort()]);
  const user = await addServiceUser(keystone, 'zaqar');
  const configuration = join(folder, 'zaqar.conf');
  await writeConfiguration(configuration, configurationOf(keystone, user, database));
  const origin = `http://127.0.0.1:${port}`;
  const server = wsgiServer(port, APPLICATION, '--pyargv', `--config-file ${configuration}`);
  await Promise.all([
    startAnswering(folder, 'zaqar', server, () => expectStatus(`${origin}/`, 300)),
    addService(keystone, { type: 'messaging', name: 'zaqar', url: origin }),
  ]);
  return { keystone, origin };
}

const databaseSection = ({ connection }: OpenstackDatabase) => `[drivers:management_store:sqlalchemy]
uri = ${connection}
`;

function newZaqarDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async (database: OpenstackDatabase) => {
    const file = await writeConfiguration(join(folder, 'database.conf'), databaseSection(database));
    await runTool('zaqar-sql-db-manage', ['--config-file', file, 'upgrade', 'head']);
  };
  return newOpenstackDatabase({ service: 'zaqar', packages: ['zaqar-common'], edition: 1, make });
}

function configurationOf(keystone: KeystoneSettings, user: KeystoneUser, database: OpenstackDatabase): string {
  return `[DEFAULT]
auth_strategy = keystone
[drivers]
management_store = sqlalchemy
message_store = swift
${databaseSection(database)}[drivers:message_store:swift]
auth_url = ${keystone.authUrl}
uri = swift://${user.user}:${user.password}@/${user.project}
region_name = ${keystone.region}
${authSection('keystone_authtoken', keystone, user)}`;
}

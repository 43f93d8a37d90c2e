import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { addService, expectStatus, type KeystoneSettings, useKeystone } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { addServiceUser, authSection, writeConfiguration, wsgiServer } from './openstack-service.ts';
import { freePort, useService } from './service.ts';

/** A Key Manager in the catalogue of a Keystone. */
export interface BarbicanSettings {
  readonly keystone: KeystoneSettings;
  /** `http://127.0.0.1:<port>`, as in the catalogue; the API is below `/v1`. */
  readonly origin: string;
}

/** A Barbican whose secrets are sealed by a key of its configuration. */
export function useBarbican(): Promise<BarbicanSettings> {
  return useService('barbican', startBarbican);
}

async function startBarbican(folder: string): Promise<BarbicanSettings> {
  const [keystone, database] = await Promise.all([useKeystone(), newBarbicanDatabase()]);
  const [user, port] = [await addServiceUser(keystone, 'barbican'), await freePort()];
  const origin = `http://127.0.0.1:${port}`;
  // Under uwsgi it looks for its configuration here and in /etc only.
  await mkdir(join(folder, '.barbican'));
  const configuration = configurationOf(origin, database) + authSection('keystone_authtoken', keystone, user);
  await writeConfiguration(join(folder, '.barbican', 'barbican.conf'), configuration);
  const server = wsgiServer(port, '/usr/bin/barbican-wsgi-api', '--rem-header', 'Content-Length');
  const started = startAnswering(folder, 'barbican', server, () => expectStatus(`${origin}/`, 300), {
    env: { ...process.env, HOME: folder },
  });
  await Promise.all([started, addService(keystone, { type: 'key-manager', name: 'barbican', url: origin })]);
  return { keystone, origin };
}

function newBarbicanDatabase(): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    await runTool('barbican-manage', ['db', 'upgrade', '--db-url', connection]);
  };
  return newOpenstackDatabase({ service: 'barbican', packages: ['barbican-common'], edition: 1, make });
}

/** With the policy of old a user may not delete what Heat ordered in his name. */
function configurationOf(origin: string, { connection }: OpenstackDatabase): string {
  return `[DEFAULT]
host_href = ${origin}
sql_connection = ${connection}
db_auto_create = false
[queue]
enable = false
[oslo_policy]
enforce_new_defaults = true
enforce_scope = true
[simple_crypto_plugin]
kek = ${randomBytes(32).toString('base64')}
`;
}

import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { addService, expectStatus, type KeystoneSettings, type KeystoneUser, useKeystone } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { addServiceUser, authSection, writeConfiguration } from './openstack-service.ts';
import { type RabbitmqSettings, useRabbitmq } from './rabbitmq.ts';
import { freePort, useService } from './service.ts';

/** A Workflow service in the catalogue of a Keystone. */
export interface MistralSettings {
  readonly keystone: KeystoneSettings;
  /** `http://127.0.0.1:<port>/v2`, as in the catalogue. */
  readonly url: string;
  /** Of its database, for `runSql`: schedules have whole minutes, and a test may turn their clock on. */
  readonly database: string;
}

/** A Mistral whose API, engine and executor are processes of one daemon. It has Mistral's own actions (`std.*`) and no others. */
export function useMistral(): Promise<MistralSettings> {
  return useService('mistral', startMistral);
}

async function startMistral(folder: string): Promise<MistralSettings> {
  const port = await freePort();
  const [keystone, rabbitmq, database] = await Promise.all([useKeystone(), useRabbitmq(), newMistralDatabase(folder)]);
  const user = await addServiceUser(keystone, 'mistral');
  const text = configurationOf({ port, keystone, rabbitmq, database, user });
  const configuration = await writeConfiguration(join(folder, 'mistral.conf'), text);
  const origin = `http://127.0.0.1:${port}`;
  const server = ['mistral-server', '--config-file', configuration, '--server', 'all'] as const;
  await Promise.all([
    startAnswering(folder, 'mistral', server, () => expectStatus(`${origin}/`, 200)),
    addService(keystone, { type: 'workflowv2', name: 'mistral', url: `${origin}/v2` }),
  ]);
  return { keystone, url: `${origin}/v2`, database: database.url };
}

function newMistralDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const configuration = join(folder, 'database.conf');
    await writeConfiguration(configuration, `[database]\nconnection = ${connection}\n`);
    const manage = (...command: string[]) => runTool('mistral-db-manage', ['--config-file', configuration, ...command]);
    await manage('upgrade', 'head');
    await manage('populate');
  };
  return newOpenstackDatabase({ service: 'mistral', packages: ['mistral-common'], edition: 1, make });
}

interface Parts {
  readonly port: number;
  readonly keystone: KeystoneSettings;
  readonly rabbitmq: RabbitmqSettings;
  readonly database: OpenstackDatabase;
  readonly user: KeystoneUser;
}

/** Schedules are looked at each second. */
function configurationOf({ port, keystone, rabbitmq, database, user }: Parts): string {
  return `[DEFAULT]
transport_url = rabbit://${rabbitmq.user}:${rabbitmq.password}@${rabbitmq.host}:${rabbitmq.port}/
graceful_shutdown_timeout = 1
[database]
connection = ${database.connection}
[api]
host = 127.0.0.1
port = ${port}
api_workers = 1
[pecan]
auth_enable = true
[executor]
type = remote
[cron_trigger]
enabled = true
execution_interval = 1
[scheduler]
fixed_delay = 0.2
random_delay = 0.2
[oslo_policy]
policy_file = /etc/mistral/policy.json
${authSection('keystone_authtoken', keystone, user)}`;
}

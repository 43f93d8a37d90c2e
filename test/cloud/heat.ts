import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import {
  addService,
  callKeystone,
  expectStatus,
  type KeystoneSettings,
  type KeystoneUser,
  logIn,
  useKeystone,
} from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { addServiceUser, authSection, writeConfiguration } from './openstack-service.ts';
import { type RabbitmqSettings, useRabbitmq } from './rabbitmq.ts';
import { freePort, useService } from './service.ts';

/** An Orchestration service in the catalogue of a Keystone. */
export interface HeatSettings {
  readonly keystone: KeystoneSettings;
  /** `http://127.0.0.1:<port>/v1`; the catalogue adds the project's id. */
  readonly url: string;
}

/** A Heat whose API and engine are one process. What fails in a stack fails at once, it is not tried again. */
export function useHeat(): Promise<HeatSettings> {
  return useService('heat', startHeat);
}

async function startHeat(folder: string): Promise<HeatSettings> {
  const port = await freePort();
  const [keystone, rabbitmq, database] = await Promise.all([useKeystone(), useRabbitmq(), newHeatDatabase(folder)]);
  const [user, domainAdmin] = await Promise.all([addServiceUser(keystone, 'heat'), addStackDomain(keystone)]);
  const text = configurationOf({ port, keystone, rabbitmq, database, user, domainAdmin });
  const configuration = await writeConfiguration(join(folder, 'heat.conf'), text);
  const url = `http://127.0.0.1:${port}/v1`;
  const server = ['heat-all', '--config-file', configuration] as const;
  await Promise.all([
    startAnswering(folder, 'heat', server, () => expectStatus(`http://127.0.0.1:${port}/`, 300)),
    addService(keystone, { type: 'orchestration', name: 'heat', url: `${url}/%(tenant_id)s` }),
  ]);
  return { keystone, url };
}

function newHeatDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const configuration = join(folder, 'database.conf');
    await writeConfiguration(configuration, `[database]\nconnection = ${connection}\n`);
    await runTool('heat-manage', ['--config-file', configuration, 'db_sync']);
  };
  return newOpenstackDatabase({ service: 'heat', packages: ['heat-common'], edition: 1, make });
}

interface DomainAdmin {
  readonly name: string;
  readonly password: string;
}

/** The domain in which Heat makes users for what runs in a stack, and the user who may do so. */
async function addStackDomain(keystone: KeystoneSettings): Promise<DomainAdmin> {
  const { token } = await logIn(keystone, keystone.admin);
  const call = async <T>(method: string, path: string, body?: object) =>
    (await callKeystone(keystone, token, method, path, body)) as T;
  const admin = { name: 'heat_domain_admin', password: randomBytes(16).toString('hex') };
  for (const name of ['heat_stack_owner', 'heat_stack_user']) await call('POST', '/roles', { role: { name } });
  const { domain } = await call<{ domain: { id: string } }>('POST', '/domains', { domain: { name: 'heat' } });
  const { user } = await call<{ user: { id: string } }>('POST', '/users', { user: { ...admin, domain_id: domain.id } });
  const { roles } = await call<{ roles: { id: string }[] }>('GET', '/roles?name=admin');
  await call('PUT', `/domains/${domain.id}/users/${user.id}/roles/${roles[0]?.id}`);
  return admin;
}

interface Parts {
  readonly port: number;
  readonly keystone: KeystoneSettings;
  readonly rabbitmq: RabbitmqSettings;
  readonly database: OpenstackDatabase;
  readonly user: KeystoneUser;
  readonly domainAdmin: DomainAdmin;
}

function configurationOf({ port, keystone, rabbitmq, database, user, domainAdmin }: Parts): string {
  return `[DEFAULT]
transport_url = rabbit://${rabbitmq.user}:${rabbitmq.password}@${rabbitmq.host}:${rabbitmq.port}/
graceful_shutdown_timeout = 1
num_engine_workers = 1
action_retry_limit = 0
auth_encryption_key = ${randomBytes(16).toString('hex')}
deferred_auth_method = trusts
trusts_delegated_roles =
stack_user_domain_name = heat
stack_domain_admin = ${domainAdmin.name}
stack_domain_admin_password = ${domainAdmin.password}
region_name_for_services = ${keystone.region}
heat_metadata_server_url = http://127.0.0.1:${port}
[heat_all]
enabled_services = api,engine
[heat_api]
bind_host = 127.0.0.1
bind_port = ${port}
workers = 1
[database]
connection = ${database.connection}
[clients_keystone]
auth_uri = ${keystone.authUrl}
[paste_deploy]
api_paste_config = /etc/heat/api-paste.ini
${trusteeSection(keystone, user)}${authSection('keystone_authtoken', keystone, user)}`;
}

/** As whom Heat uses the trust that a stack's owner gave it. With a project of its own, every update of a stack is answered by 500. */
function trusteeSection({ authUrl }: KeystoneSettings, { user, password }: KeystoneUser): string {
  return `[trustee]
auth_type = password
auth_url = ${authUrl}
username = ${user}
password = ${password}
user_domain_id = default
`;
}

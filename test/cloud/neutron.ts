import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { askService } from './call-service.ts';
import { addService, logIn } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import {
  authSection,
  prepareService,
  type ServiceParts,
  transportUrl,
  writeConfiguration,
} from './openstack-service.ts';
import { useService } from './service.ts';

/** A Network service in the catalogue of the run's Keystone. */
export interface NeutronSettings {
  /** `http://127.0.0.1:<port>`; the API is below `/v2.0`. */
  readonly origin: string;
}

/**
 * A Neutron that knows networks and ports but plugs none: no agent makes bridges on this machine, so servers are booted with
 * `networks: 'none'`.
 */
export function useNeutron(): Promise<NeutronSettings> {
  return useService('neutron', startNeutron);
}

async function startNeutron(folder: string): Promise<NeutronSettings> {
  const parts = await prepareService(folder, 'neutron', () => newNeutronDatabase(folder));
  const origin = `http://127.0.0.1:${parts.port}`;
  const file = await writeConfiguration(join(folder, 'neutron.conf'), configurationOf(parts, parts.databases));
  const { token } = await logIn(parts.keystone, parts.keystone.admin);
  // Its first query ever must not be for ports: of those it knows all only after another one.
  const answers = () => askService(token, 'GET', `${origin}/v2.0/networks`);
  await Promise.all([
    startAnswering(folder, 'neutron', ['neutron-server', '--config-file', file], answers),
    addService(parts.keystone, { type: 'network', name: 'neutron', url: origin }),
  ]);
  return { origin };
}

const PLUGIN = `[DEFAULT]
core_plugin = ml2
service_plugins =
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = linuxbridge
extension_drivers = port_security
[securitygroup]
enable_security_group = false
firewall_driver = noop
[experimental]
linuxbridge = true
`;

function newNeutronDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const file = join(folder, 'database.conf');
    await writeConfiguration(file, `${PLUGIN}[database]\nconnection = ${connection}\n`);
    await runTool('neutron-db-manage', ['--config-file', file, 'upgrade', 'heads']);
  };
  return newOpenstackDatabase({ service: 'neutron', packages: ['neutron-common'], edition: 1, make });
}

function configurationOf(
  { folder, port, keystone, rabbitmq, user }: ServiceParts,
  { connection }: OpenstackDatabase,
): string {
  return `${PLUGIN}
[DEFAULT]
transport_url = ${transportUrl(rabbitmq)}
graceful_shutdown_timeout = 1
bind_host = 127.0.0.1
bind_port = ${port}
api_workers = 0
rpc_workers = 0
rpc_state_report_workers = 0
api_paste_config = /etc/neutron/api-paste.ini
state_path = ${folder}
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
[oslo_concurrency]
lock_path = ${folder}/locks
[database]
connection = ${connection}
${authSection('keystone_authtoken', keystone, user)}`;
}

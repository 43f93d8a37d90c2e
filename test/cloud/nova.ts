import { randomUUID } from 'node:crypto';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { type HypervisorSettings, useHypervisor } from './hypervisor.ts';
import { addService, expectStatus } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import {
  authSection,
  mainOf,
  prepareService,
  pythonCode,
  pythonMain,
  type ServiceParts,
  transportUrl,
  writeConfiguration,
  wsgiServer,
} from './openstack-service.ts';
import { useService } from './service.ts';
import { serviceList } from './service-list.ts';
import { runSql } from './sql-server.ts';

/** A Compute service of one host, in the catalogue of the run's Keystone. */
export interface NovaSettings {
  /** `http://127.0.0.1:<port>/v2.1`, as in the catalogue. */
  readonly url: string;
  readonly hypervisor: HypervisorSettings;
  /** Holds a folder for each server: `<server id>/disk`, `console.log`, … */
  readonly instances: string;
  /** A link to the libvirt of each host, named by the loopback address where it takes guests that are moved while they run. */
  readonly hosts: string;
  /** Its configuration, of the host's part too. */
  readonly configuration: string;
}

/** Of its first host, in `hosts`. */
const ADDRESS = '127.0.0.1';

/** A Nova over libvirt and emulated guests. It needs the rest of the cloud to boot one, but not to start. */
export function useNova(): Promise<NovaSettings> {
  return useService('nova', startNova);
}

async function startNova(folder: string): Promise<NovaSettings> {
  const [hypervisor, parts] = await Promise.all([
    useHypervisor(),
    prepareService(folder, 'nova', () => newNovaDatabases(folder)),
  ]);
  const [instances, hosts] = [join(folder, 'instances'), join(folder, 'hosts')];
  await Promise.all([instances, hosts].map((own) => mkdir(own)));
  await symlink(hypervisor.sockets, join(hosts, ADDRESS));
  await mapCells(parts.databases, transportUrl(parts.rabbitmq));
  await symlink('/etc/nova/api-paste.ini', join(folder, 'api-paste.ini'));
  const text = configurationOf(parts, parts.databases, hypervisor);
  const file = await writeConfiguration(join(folder, 'nova.conf'), text);
  const url = `http://127.0.0.1:${parts.port}/v2.1`;
  await Promise.all([
    startDaemons(file, parts, hypervisor),
    addService(parts.keystone, { type: 'compute', name: 'nova', url }),
  ]);
  return { url, hypervisor, instances, hosts, configuration: file };
}

async function startDaemons(
  file: string,
  { folder, port, keystone }: ServiceParts,
  hypervisor: HypervisorSettings,
): Promise<void> {
  const origin = `http://127.0.0.1:${port}`;
  const isUp = await serviceList(keystone, `${origin}/v2.1/os-services`);
  // Its threads are eventlet's own.
  const api = wsgiServer(port, '/usr/bin/nova-api-wsgi', '--threads', '1', '--rem-header', 'Content-Length');
  const program = (name: string) => pythonMain(`nova.cmd.${name}`, '--config-file', file);
  const configured = { env: { ...process.env, OS_NOVA_CONFIG_DIR: folder } };
  await Promise.all([
    startAnswering(folder, 'api', api, () => expectStatus(`${origin}/`, 200), configured),
    startAnswering(folder, 'conductor', program('conductor'), () => isUp('nova-conductor')),
    startAnswering(folder, 'scheduler', program('scheduler'), () => isUp('nova-scheduler')),
    startCompute(folder, [file], hypervisor, () => isUp('nova-compute')),
  ]);
}

/** Nova's part on a host. */
export async function startCompute(
  folder: string,
  configurations: readonly string[],
  { enter, path }: HypervisorSettings,
  isUp: () => Promise<unknown>,
): Promise<void> {
  const files = configurations.flatMap((file) => ['--config-file', file]);
  // All hosts see the same files, but libvirt believes that of network file systems only: with this flag it asks no more.
  const unsafe = 'import libvirt; libvirt.VIR_MIGRATE_PEER2PEER |= libvirt.VIR_MIGRATE_UNSAFE';
  const program = pythonCode(`${unsafe}; ${mainOf('nova.cmd.compute')}`, ...files);
  const options = { env: { ...process.env, PATH: path } };
  await startAnswering(folder, 'compute', [...enter, ...program], isUp, options);
}

/** `cell0` holds the servers that never got a host. */
interface NovaDatabases {
  readonly api: OpenstackDatabase;
  readonly cell: OpenstackDatabase;
  readonly cell0: OpenstackDatabase;
}

async function newNovaDatabases(folder: string): Promise<NovaDatabases> {
  const newDatabase = (service: string, section: string, ...command: string[]) => {
    const make = async ({ connection }: OpenstackDatabase) => {
      const file = join(folder, `${service}.conf`);
      await writeConfiguration(file, `[${section}]\nconnection = ${connection}\n`);
      await runTool('nova-manage', ['--config-file', file, ...command]);
    };
    return newOpenstackDatabase({ service, packages: ['nova-common'], edition: 1, make });
  };
  const newCell = () => newDatabase('nova_cell', 'database', 'db', 'sync', '--local_cell');
  const api = newDatabase('nova_api', 'api_database', 'api_db', 'sync');
  const cell = await newCell();
  // After the other, whose tables it copies.
  return { api: await api, cell, cell0: await newCell() };
}

/** What `nova-manage cell_v2` would take a while to write. */
async function mapCells({ api, cell, cell0 }: NovaDatabases, transport: string): Promise<void> {
  const columns = '(uuid, name, transport_url, database_connection, disabled)';
  await runSql(api.url, `INSERT INTO cell_mappings ${columns} VALUES (?, ?, ?, ?, 0), (?, ?, ?, ?, 0)`, [
    ...['00000000-0000-0000-0000-000000000000', 'cell0', 'none:///', cell0.connection],
    ...[randomUUID(), 'cell1', transport, cell.connection],
  ]);
}

function configurationOf(
  { folder, keystone, rabbitmq, user }: ServiceParts,
  { api, cell }: NovaDatabases,
  hypervisor: HypervisorSettings,
): string {
  const auth = (section: string) => authSection(section, keystone, user);
  return `[DEFAULT]
transport_url = ${transportUrl(rabbitmq)}
graceful_shutdown_timeout = 1
my_ip = 127.0.0.1
state_path = ${folder}
instances_path = ${folder}/instances
rootwrap_config = /etc/nova/rootwrap.conf
compute_driver = libvirt.LibvirtDriver
reserved_host_memory_mb = 0
reserved_host_disk_mb = 0
initial_cpu_allocation_ratio = 64
initial_ram_allocation_ratio = 4
initial_disk_allocation_ratio = 100
# A host can be asked to resize what it has itself.
allow_resize_to_same_host = true
# The test guest does not hear a power button.
shutdown_timeout = 5
# All suites are one project's.
[quota]
instances = -1
cores = -1
ram = -1
[api_database]
connection = ${api.connection}
[database]
connection = ${cell.connection}
[libvirt]
virt_type = qemu
cpu_mode = none
connection_uri = ${hypervisor.uri}
nfs_mount_point_base = ${folder}/mounts
wait_soft_reboot_seconds = 5
live_migration_uri = qemu+unix:///system?socket=${folder}/hosts/%s/libvirt-sock
live_migration_inbound_addr = ${ADDRESS}
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 1
[conductor]
workers = 1
[vnc]
enabled = false
[cinder]
catalog_info = volumev3:cinder:publicURL
os_region_name = ${keystone.region}
[oslo_concurrency]
lock_path = ${folder}/locks
[service_user]
send_service_user_token = true
${auth('service_user').replace('[service_user]\n', '')}${['glance', 'neutron', 'placement', 'keystone_authtoken'].map(auth).join('')}`;
}

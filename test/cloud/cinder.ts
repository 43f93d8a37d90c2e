import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { askService } from './call-service.ts';
import { type HypervisorSettings, useHypervisor } from './hypervisor.ts';
import { addService, expectStatus, logIn } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import {
  authSection,
  prepareService,
  pythonMain,
  type ServiceParts,
  transportUrl,
  writeConfiguration,
  wsgiServer,
} from './openstack-service.ts';
import { useService } from './service.ts';
import { serviceList } from './service-list.ts';

/** A Block Storage service in the catalogue of the run's Keystone. */
export interface CinderSettings {
  /** `http://127.0.0.1:<port>/v3`; the catalogue adds the project's id. */
  readonly url: string;
  /** Holds each volume in a raw file `volume-<id>`. */
  readonly volumes: string;
}

/** A Cinder that keeps volumes as files of what servers see as an NFS share. */
export function useCinder(): Promise<CinderSettings> {
  return useService('cinder', startCinder);
}

async function startCinder(folder: string): Promise<CinderSettings> {
  const [hypervisor, parts] = await Promise.all([
    useHypervisor(),
    prepareService(folder, 'cinder', () => newCinderDatabase(folder)),
  ]);
  await mkdir(join(folder, 'mounts'));
  await writeFile(join(folder, 'shares'), `127.0.0.1:${hypervisor.share}\n`);
  const file = await writeConfiguration(join(folder, 'cinder.conf'), configurationOf(parts, parts.databases));
  const url = `http://127.0.0.1:${parts.port}/v3`;
  await Promise.all([
    startDaemons(file, parts, hypervisor),
    addService(parts.keystone, { type: 'volumev3', name: 'cinder', url: `${url}/%(project_id)s` }),
  ]);
  return { url, volumes: hypervisor.share };
}

async function startDaemons(
  file: string,
  { folder, port, keystone }: ServiceParts,
  { enter, path }: HypervisorSettings,
): Promise<void> {
  const origin = `http://127.0.0.1:${port}`;
  const project = `${origin}/v3/${keystone.admin.projectId}`;
  const isUp = await serviceList(keystone, `${project}/os-services`);
  const { token } = await logIn(keystone, keystone.admin);
  // It says that it is up before its share is mounted; the scheduler knows better.
  const hasRoom = async () => {
    const { pools } = await askService<{ pools: unknown[] }>(token, 'GET', `${project}/scheduler-stats/get_pools`);
    if (pools.length === 0) throw new Error('There is no place for volumes.');
  };
  const more = ['--rem-header', 'Content-Length', `--pyargv=--config-file=${file}`];
  const program = (name: string) => pythonMain(`cinder.cmd.${name}`, '--config-file', file);
  const options = { env: { ...process.env, PATH: path } };
  const api = wsgiServer(port, '/usr/bin/cinder-wsgi', ...more);
  await Promise.all([
    startAnswering(folder, 'api', api, () => expectStatus(`${origin}/`, 300)),
    startAnswering(folder, 'scheduler', program('scheduler'), () => isUp('cinder-scheduler')),
    startAnswering(folder, 'volume', [...enter, ...program('volume')], hasRoom, options),
  ]);
}

/** All suites are one project's. Cinder copies them into its database when it makes the tables, and looks only there from then on. */
const NO_QUOTAS = ['volumes', 'gigabytes', 'snapshots'].map((name) => `quota_${name} = -1\n`).join('');

function newCinderDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const file = join(folder, 'database.conf');
    await writeConfiguration(file, `[DEFAULT]\n${NO_QUOTAS}[database]\nconnection = ${connection}\n`);
    await runTool('cinder-manage', ['--config-file', file, 'db', 'sync']);
  };
  return newOpenstackDatabase({ service: 'cinder', packages: ['cinder-common'], edition: 2, make });
}

function configurationOf(
  { folder, keystone, rabbitmq, user }: ServiceParts,
  { connection }: OpenstackDatabase,
): string {
  return `[DEFAULT]
transport_url = ${transportUrl(rabbitmq)}
graceful_shutdown_timeout = 1
auth_strategy = keystone
api_paste_config = /etc/cinder/api-paste.ini
rootwrap_config = /etc/cinder/rootwrap.conf
my_ip = 127.0.0.1
state_path = ${folder}
image_conversion_dir = ${folder}/conversion
enabled_backends = share
default_volume_type = __DEFAULT__
scheduler_default_filters = CapacityFilter
${NO_QUOTAS}[share]
volume_driver = cinder.volume.drivers.nfs.NfsDriver
volume_backend_name = share
nfs_shares_config = ${folder}/shares
nfs_mount_point_base = ${folder}/mounts
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
reserved_percentage = 0
max_over_subscription_ratio = 1000
[oslo_concurrency]
lock_path = ${folder}/locks
[database]
connection = ${connection}
${authSection('nova', keystone, user)}${authSection('keystone_authtoken', keystone, user)}service_token_roles = admin
service_token_roles_required = true
`;
}

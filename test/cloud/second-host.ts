import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { askService } from './call-service.ts';
import { untilHostsHaveRoom, useCloudWithServers } from './compute.ts';
import { addEkkosUser, addExporter, useEkko } from './ekko.ts';
import { type HypervisorSettings, useSecondHypervisor } from './hypervisor.ts';
import { logIn } from './keystone.ts';
import { startCompute } from './nova.ts';
import { writeConfiguration } from './openstack-service.ts';
import { useService } from './service.ts';

/** A host beside the cloud's first one, with an exporter; both see the same files of servers. Nova puts no new server on it. */
export interface SecondHost {
  readonly name: string;
  readonly hypervisor: HypervisorSettings;
  /** URL of its exporter. */
  readonly exporter: string;
  /** Holds `exporter.yaml` and the daemon `exporter`. */
  readonly folder: string;
}

/** Shared by the tests of a run that let nobody else boot servers meanwhile. */
export function useSecondHost(): Promise<SecondHost> {
  return useService('second-host', startSecondHost);
}

/** With a dot in it libvirt asks nobody what else it might be called. */
const NAME = 'second.example';
const ADDRESS = '127.0.0.2';

async function startSecondHost(folder: string): Promise<SecondHost> {
  const [cloud, ekko, hypervisor] = await Promise.all([useCloudWithServers(), useEkko(), useSecondHypervisor(NAME)]);
  const own = `[DEFAULT]\nhost = ${NAME}\n[libvirt]\nconnection_uri = ${hypervisor.uri}\nlive_migration_inbound_addr = ${ADDRESS}\n`;
  const file = await writeConfiguration(join(folder, 'nova.conf'), own);
  await symlink(hypervisor.sockets, join(cloud.nova.hosts, ADDRESS));
  const configurations = [cloud.nova.configuration, file];
  await startCompute(folder, configurations, hypervisor, () => untilHostsHaveRoom(2, cloud));
  await openHost(cloud, false);
  const user = await addEkkosUser(cloud);
  const { catalog } = ekko;
  const exporter = await addExporter(cloud, user, { folder, catalog, host: NAME, libvirt: hypervisor.uri });
  return { name: NAME, hypervisor, exporter, folder };
}

type Cloud = Awaited<ReturnType<typeof useCloudWithServers>>;

/** Whether servers come to the second host. */
export async function openHost({ keystone, nova }: Cloud, open: boolean): Promise<void> {
  const { token } = await logIn(keystone, keystone.admin);
  const body = { host: NAME, binary: 'nova-compute' };
  await askService(token, 'PUT', `${nova.url}/os-services/${open ? 'enable' : 'disable'}`, body);
}

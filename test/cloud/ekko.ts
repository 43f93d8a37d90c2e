import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { bundlePath } from '../../functions/host/bundles.ts';
import { checkout } from '../setup/cache.ts';
import { startAnswering } from './answering-daemon.ts';
import { useCloudWithServers } from './compute.ts';
import { addUser, expectStatus, type KeystoneUser, logIn } from './keystone.ts';
import { useMariadb } from './mariadb.ts';
import { openTestCloud } from './open-test-cloud.ts';
import { writeConfiguration } from './openstack-service.ts';
import { freePort, untilItAnswers, useService } from './service.ts';
import { newDatabase } from './sql-server.ts';

/** What an operator installs in a cloud: `ekko serve`, an exporter on its one host, and workflows, here for the tenant. */
export interface EkkoSettings {
  /** `http://127.0.0.1:<port>`: of the catalog's API. */
  readonly catalog: string;
  /** Likewise, of the exporter's. */
  readonly exporter: string;
  /** What Nova calls the host. */
  readonly host: string;
  /** The journals of all vaults; a line with a URL. */
  readonly journalFile: string;
  /** Holds `serve.yaml` and `exporter.yaml`, daemons `serve` and `exporter`, and their logs. */
  readonly folder: string;
}

/** Ekko in a cloud with servers, shared by the tests of a run. */
export function useEkko(): Promise<EkkoSettings> {
  return useService('ekko', startEkko);
}

type Cloud = Awaited<ReturnType<typeof useCloudWithServers>>;

async function startEkko(folder: string): Promise<EkkoSettings> {
  const [cloud, database] = await Promise.all([useCloudWithServers(), useMariadb().then(newDatabase)]);
  const journalFile = await writeConfiguration(join(folder, 'journal'), `${database}\n`);
  const user = await addEkkosUser(cloud);
  const port = await freePort();
  const catalog = `http://127.0.0.1:${port}`;
  const host = await hostOf(cloud);
  const serve = stringify(serveSettings(cloud, user, { port, catalog, journalFile }));
  const settings = await writeConfiguration(join(folder, 'serve.yaml'), serve);
  await startAnswering(folder, 'serve', [process.execPath, bundlePath('ekko'), 'serve', '--settings', settings], () =>
    expectStatus(`${catalog}/healthcheck`, 200),
  );
  const exporter = await addExporter(cloud, user, { folder, catalog, host, libvirt: cloud.nova.hypervisor.uri });
  const tenant = await openTestCloud(cloud.keystone, cloud.keystone.member);
  await install(tenant, await readWorkbooks({ catalog }), 'private');
  return { catalog, exporter, host, journalFile, folder };
}

const EXPORTER_FILE = 'exporter.yaml';

/** A user for services of Ekko. */
export function addEkkosUser({ keystone }: Cloud): Promise<KeystoneUser> {
  return addUser(keystone, {
    user: `ekko-${randomBytes(3).toString('hex')}`,
    project: 'ekko-service',
    role: 'service',
  });
}

interface ExportingHost {
  readonly folder: string;
  readonly catalog: string;
  readonly host: string;
  /** For `virsh --connect`. */
  readonly libvirt: string;
}

/** The exporter of a host, with `exporter.yaml` and what it keeps in `folder`; its URL, when the catalog knows of it. */
export async function addExporter(cloud: Cloud, user: KeystoneUser, place: ExportingHost): Promise<string> {
  const { folder, catalog, host } = place;
  const port = await freePort();
  const exporter = `http://127.0.0.1:${port}`;
  await writeConfiguration(join(folder, EXPORTER_FILE), stringify(exporterSettings(cloud, user, { ...place, port })));
  for (const name of ['scratch', 'state']) await mkdir(join(folder, name), { mode: 0o700 });
  await startExporter({ folder, exporter });
  await untilItAnswers(() => expectExporter(cloud, catalog, host));
  return exporter;
}

/** As the package has it: from its sources, by the Node of the checkout. For the first time, and after it has died. */
export async function startExporter({ folder, exporter }: Pick<EkkoSettings, 'folder' | 'exporter'>): Promise<void> {
  const program = join(checkout, 'host-exporter', 'api', 'main.ts');
  const command = [process.execPath, program, '--settings', join(folder, EXPORTER_FILE)] as const;
  await startAnswering(folder, 'exporter', command, () => expectStatus(`${exporter}/healthcheck`, 200));
}

async function hostOf({ keystone, nova }: Cloud): Promise<string> {
  const { token } = await logIn(keystone, keystone.admin);
  const answer = await fetch(`${nova.url}/os-hypervisors`, { headers: { 'x-auth-token': token } });
  const { hypervisors } = (await answer.json()) as { hypervisors: { hypervisor_hostname: string }[] };
  const [only] = hypervisors;
  if (only === undefined) throw new Error('The cloud has no host.');
  return only.hypervisor_hostname;
}

async function expectExporter({ keystone }: Cloud, catalog: string, host: string): Promise<void> {
  const { token } = await logIn(keystone, keystone.admin);
  const answer = await fetch(`${catalog}/v1/exporters`, { headers: { 'x-auth-token': token } });
  if (!(await answer.text()).includes(host)) throw new Error(`The exporter of ${host} has not registered.`);
}

function serveSettings(
  { keystone, nova, cinder, heat, neutron, glance, swift, barbican }: Cloud,
  { user, password, project }: KeystoneUser,
  { port, catalog, journalFile }: { readonly port: number; readonly catalog: string; readonly journalFile: string },
) {
  return {
    listen: { host: '127.0.0.1', port },
    public_url: catalog,
    keystone: { url: keystone.authUrl, user, password, project },
    endpoints: {
      nova: nova.url,
      cinder: `${cinder.url}/%(project_id)s`,
      heat: `${heat.url}/%(project_id)s`,
      ...{ neutron: neutron.origin, glance: glance.origin },
      swift: `${swift.origin}/v1/AUTH_%(project_id)s`,
      barbican: barbican.origin,
    },
    journal_file: journalFile,
  };
}

function exporterSettings(
  { keystone }: Cloud,
  { user, password, project }: KeystoneUser,
  { folder, port, catalog, host, libvirt }: ExportingHost & { readonly port: number },
) {
  return {
    ...{ address: '127.0.0.1', port, host, url: `http://127.0.0.1:${port}`, catalog },
    keystone: { auth_url: keystone.authUrl, username: user, password, project_name: project },
    libvirt,
    scratch_directory: join(folder, 'scratch'),
    scratch_low_water: 256 * 1024 ** 2,
    state_directory: join(folder, 'state'),
  };
}

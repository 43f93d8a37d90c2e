import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { addService, expectStatus } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { authSection, prepareService, type ServiceParts, writeConfiguration, wsgiServer } from './openstack-service.ts';
import { useService } from './service.ts';

/** An Image service in the catalogue of the run's Keystone. */
export interface GlanceSettings {
  /** `http://127.0.0.1:<port>`; the API is below `/v2`. */
  readonly origin: string;
  /** Holds each image's bytes in a file that its id names. */
  readonly images: string;
}

/** A Glance that keeps images in files. */
export function useGlance(): Promise<GlanceSettings> {
  return useService('glance', startGlance);
}

async function startGlance(folder: string): Promise<GlanceSettings> {
  const parts = await prepareService(folder, 'glance', () => newGlanceDatabase(folder));
  const origin = `http://127.0.0.1:${parts.port}`;
  const places = ['images', 'staging', 'tasks'].map((name) => join(folder, name));
  await Promise.all(places.map((place) => mkdir(place)));
  await symlink('/etc/glance/glance-api-paste.ini', join(folder, 'glance-api-paste.ini'));
  await writeConfiguration(join(folder, 'glance-api.conf'), configurationOf(parts, parts.databases));
  const server = wsgiServer(
    parts.port,
    '/usr/bin/glance-wsgi-api',
    '--rem-header',
    'Content-Length',
    '--socket-timeout',
    '120',
  );
  const options = { env: { ...process.env, OS_GLANCE_CONFIG_DIR: folder } };
  await Promise.all([
    startAnswering(folder, 'glance', server, () => expectStatus(`${origin}/healthcheck`, 200), options),
    addService(parts.keystone, { type: 'image', name: 'glance', url: origin }),
  ]);
  return { origin, images: join(folder, 'images') };
}

function newGlanceDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const file = join(folder, 'database.conf');
    await writeConfiguration(file, `[database]\nconnection = ${connection}\n`);
    await runTool('glance-manage', ['--config-file', file, 'db_sync']);
  };
  return newOpenstackDatabase({ service: 'glance', packages: ['glance-common'], edition: 1, make });
}

function configurationOf({ folder, keystone, user }: ServiceParts, { connection }: OpenstackDatabase): string {
  return `[DEFAULT]
node_staging_uri = file://${folder}/staging
[database]
connection = ${connection}
[paste_deploy]
flavor = keystone
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = ${folder}/images
[os_glance_staging_store]
filesystem_store_datadir = ${folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = ${folder}/tasks
${authSection('keystone_authtoken', keystone, user)}`;
}

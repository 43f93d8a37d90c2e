import { join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { addService, expectStatus } from './keystone.ts';
import { newOpenstackDatabase, type OpenstackDatabase } from './openstack-database.ts';
import { authSection, prepareService, type ServiceParts, writeConfiguration, wsgiServer } from './openstack-service.ts';
import { useService } from './service.ts';

/** Where Nova counts what its hosts have left. */
export interface PlacementSettings {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
}

/** A Placement service in the catalogue of the run's Keystone. */
export function usePlacement(): Promise<PlacementSettings> {
  return useService('placement', startPlacement);
}

async function startPlacement(folder: string): Promise<PlacementSettings> {
  const parts = await prepareService(folder, 'placement', () => newPlacementDatabase(folder));
  const origin = `http://127.0.0.1:${parts.port}`;
  await writeConfiguration(join(folder, 'placement.conf'), configurationOf(parts, parts.databases));
  const server = wsgiServer(parts.port, '/usr/bin/placement-api');
  const options = { env: { ...process.env, OS_PLACEMENT_CONFIG_DIR: folder } };
  await Promise.all([
    startAnswering(folder, 'placement', server, () => expectStatus(`${origin}/`, 200), options),
    addService(parts.keystone, { type: 'placement', name: 'placement', url: origin }),
  ]);
  return { origin };
}

function newPlacementDatabase(folder: string): Promise<OpenstackDatabase> {
  const make = async ({ connection }: OpenstackDatabase) => {
    const file = join(folder, 'database.conf');
    await writeConfiguration(file, `[placement_database]\nconnection = ${connection}\n`);
    await runTool('placement-manage', ['--config-file', file, 'db', 'sync']);
  };
  return newOpenstackDatabase({ service: 'placement', packages: ['python3-placement'], edition: 1, make });
}

function configurationOf({ keystone, user }: ServiceParts, { connection }: OpenstackDatabase): string {
  return `[api]
auth_strategy = keystone
[placement_database]
connection = ${connection}
${authSection('keystone_authtoken', keystone, user)}`;
}

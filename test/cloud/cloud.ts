// A cloud for use by hand: npm run cloud -- up|down|status. It outlives the terminal, until `down`.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { cloudStatus, type ServiceStatus } from './cloud-status.ts';
import { useCloudWithServers } from './compute.ts';
import { useEkko } from './ekko.ts';
import { useCloud } from './openstack.ts';
import { stopServices } from './service.ts';

/** Beside no checkout: `npm ci` must not take a running cloud's pids away. Short: sockets have at most 107 bytes. */
const folder = join(homedir(), '.cache', 'ekko-cloud');
const started = join(folder, 'cloud', 'settings.json');

async function up({ servers, ekko }: { servers?: true; ekko?: true }): Promise<void> {
  if (existsSync(folder) && !existsSync(started)) {
    console.log('An earlier start did not come to its end: ending what it left.');
    await stopServices(folder);
  }
  if (!existsSync(folder))
    console.log('Starting, which takes half a minute; with servers two; the first time a minute more ...');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  process.env['EKKO_TEST_SERVICES'] = folder;
  const { openrc } = await (servers || ekko ? useCloudWithServers() : useCloud());
  const installed = ekko ? await useEkko() : undefined;
  await status();
  if (installed)
    console.log(
      `\nEkko's catalog: ${installed.catalog}   (settings and logs of it and of the exporter: ${installed.folder})`,
    );
  console.log(`\nTo use it:  . ${openrc.member}   (admin: ${openrc.admin}, another project: ${openrc.stranger})`);
}

async function down(): Promise<void> {
  if (!existsSync(folder)) return console.log('No cloud is up.');
  await stopServices(folder);
  console.log('The cloud is down; all that was in it is gone.');
}

async function status(): Promise<void> {
  if (!existsSync(folder)) {
    process.exitCode = 1;
    return console.log('No cloud is up.');
  }
  const services = await cloudStatus(folder);
  console.log(['SERVICE'.padEnd(11), 'STATE'.padEnd(24), 'MEMORY'.padStart(9), ' ADDRESS'].join(' '));
  for (const service of services) console.log(rowOf(service));
  if (services.some(({ state }) => state !== 'running')) process.exitCode = 1;
}

function rowOf({ name, state, missing, bytes, address }: ServiceStatus): string {
  const words = missing.length === 0 ? state : `ended: ${missing.join(', ')}`;
  return [name.padEnd(11), words.padEnd(24), `${Math.round(bytes / 2 ** 20)} MiB`.padStart(9), ` ${address}`].join(' ');
}

const program = new Command('npm run cloud --').description('A real OpenStack on this machine, for use by hand.');
program
  .command('up')
  .description('start it, and say how to use it; again with --servers: add them')
  .option('--servers', 'with Glance, Neutron, Cinder and Nova')
  .option('--ekko', 'and with Ekko: its catalog, an exporter on the host, and its workflows for the tenant')
  .action(up);
program.command('down').description('end it, and remove all that it held').action(down);
program.command('status').description('show what runs, and where').action(status);
await program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from '#vault/changes/changes.ts';
import type { Topology } from '#vault/format/topology.ts';
import { lacks } from '../setup/cache.ts';
import { callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, useEkko } from './ekko.ts';
import { executionsOf } from './executions.ts';
import { fireTrigger, triggersOf } from './fire-trigger.ts';
import { logIn } from './keystone.ts';
import { askAgent, attachVolume, type Server } from './server.ts';
import { outputOf, stacksOf } from './stacks.ts';
import { openTenant, type Tenant } from './tenant.ts';

const RUN = 'ekko.backup.v1.run';
/** Servers of a real Nova, backed up by an exporter beside its libvirt and `ekko serve`, with nobody's rights but the tenant's. */
const START_LIMIT_MS = 900_000;

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))('Ekko in a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let ekko: EkkoSettings;
  let tenant: Tenant;
  let servers: readonly [Server, Server];
  const prefix = `shop-${randomBytes(4).toString('hex')}`;

  beforeAll(async () => {
    [cloud, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
    tenant = await openTenant(cloud, ekko);
    servers = [await tenant.boot('web-1'), await tenant.boot('web-2')];
  }, START_LIMIT_MS);

  afterAll(() => tenant?.leave());

  test('two servers and a volume are one point at one moment, later ones hold what changed, and a disk comes back without the cloud', async () => {
    const volume = await attachVolume(cloud, tenant.token, servers[0], 1);
    const before = randomBytes(3000).toString('base64');
    await tenant.writeInGuest(servers[1], '/before', before);

    await tenant.makeVault(prefix);
    const members = { servers: servers.map(({ id }) => id) };
    await tenant.call('PUT', `/v1/policies/${prefix}`, { vault: prefix, members, quiesce: 'require' });

    const first = await tenant.backUp(prefix);
    expect(first).toMatchObject({ disks: 3, consistency: 'file-system', missing: [] });
    const after = randomBytes(3000).toString('base64');
    await tenant.writeInGuest(servers[1], '/after', after);
    const second = await tenant.backUp(prefix);
    expect(second).toMatchObject({ disks: 3, missing: [] });
    expect(second.changedBytes).toBeGreaterThan(0);
    expect(second.changedBytes).toBeLessThan(first.changedBytes / 4);
    console.log(`moment of two servers: ${first.windowMs} ms and ${second.windowMs} ms, frozen and thawed over HTTP`);

    const points = await tenant.points(prefix);
    expect(points.map(({ point }) => point)).toEqual([second.point, first.point]);
    const topology = await tenant.call<Topology>('GET', `/v1/vaults/${prefix}/points/${second.point}/topology`);
    expect(topology.servers.map(({ name, flavor }) => [name, flavor?.ramMiB])).toEqual(
      expect.arrayContaining([
        ['web-1', 256],
        ['web-2', 256],
      ]),
    );
    expect(topology.volumes).toMatchObject([{ id: volume, size: 1024 ** 3 }]);
    expect(topology.images).toMatchObject([{ id: cloud.imageId, properties: { hw_qemu_guest_agent: 'yes' } }]);
    expect(topology.servers.flatMap(({ disks }) => disks.map(({ name }) => name)).sort()).toEqual(
      [`${servers[0].id}/${volume}`, ...servers.map(({ id }) => `${id}/root`)].sort(),
    );
    expect(await tenant.restoredFile(prefix, `${servers[1].id}/root`, '/before')).toBe(before);
    expect(await tenant.restoredFile(prefix, `${servers[1].id}/root`, '/after')).toBe(after);
    expect(await askAgent(cloud, servers[0].id, 'guest-fsfreeze-status')).toBe('thawed');
  });

  test('another project sees nothing of it, and gets nothing from the exporter', async () => {
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    const [server] = servers;
    const paths = [`/v1/vaults/${prefix}`, `/v1/vaults/${prefix}/points`, `/v1/policies/${prefix}`];
    for (const path of paths) expect((await callService(strangers, 'GET', ekko.catalog + path)).status).toBe(404);
    const disks = await callService(strangers, 'GET', `${ekko.exporter}/v1/servers/${server.id}`);
    expect(disks.status).toBe(404);
    expect((await callService('none', 'GET', `${ekko.exporter}/v1/servers/${server.id}`)).status).toBe(401);
    expect((await callService('none', 'GET', `${ekko.catalog}/v1/vaults`)).status).toBe(401);
  });

  test('a stack declares its own backup: the servers of now are in each point, also the one that was added since', async () => {
    const { keystone, mistral, heat } = cloud;
    const stacks = stacksOf(`${heat.url}/${keystone.member.projectId}`, tenant.token);
    const executions = executionsOf(mistral.url, tenant.token);
    const policy = `app-${randomBytes(4).toString('hex')}`;

    const stack = await stacks.create(policy, applicationOf(policy, 1));
    const created = await stacks.settled(stack, 'CREATE');
    expect([created.stack_status, created.stack_status_reason]).toEqual(['CREATE_COMPLETE', expect.anything()]);
    expect(outputOf(created, 'policy')).toBe(policy);
    const first = await executions.run(RUN, { policy });
    expect(first.result).toMatchObject({ outcome: 'committed', failed: [] });

    await stacks.update(stack, applicationOf(policy, 2));
    expect((await stacks.settled(stack, 'UPDATE')).stack_status).toBe('UPDATE_COMPLETE');
    const [trigger] = (await triggersOf(cloud, tenant.token, RUN)).filter(({ workflow_input: input }) =>
      input.includes(policy),
    );
    await fireTrigger(cloud, trigger ?? expect.fail('no schedule'));
    const second = await executions.run(RUN, { policy });
    expect(second.result).toMatchObject({ outcome: 'committed', failed: [] });
    const points = await tenant.points(policy);
    expect(points.map(({ disks }) => disks)).toEqual([2, 1]);
    const { changes } = await tenant.call<{ changes: Change[] }>(
      'GET',
      `/v1/vaults/${policy}/points/${points[0]?.point}`,
    );
    expect(changes.map(({ kind, change }) => `${kind} ${change}`)).toContain('server added');
    const topology = await tenant.call<Topology>('GET', `/v1/vaults/${policy}/points/${points[0]?.point}/topology`);
    expect(topology.stack?.resources.filter(({ type }) => type === 'OS::Nova::Server')).toHaveLength(2);
    expect(await executions.everything()).not.toContain(tenant.token);

    await stacks.remove(stack);
    expect((await stacks.settled(stack, 'DELETE')).stack_status).toBe('DELETE_COMPLETE');
    // Nothing of it is gone: whoever names the container again has the points.
    await tenant.call('PUT', `/v1/vaults/${policy}`, { store: `swift:ekko-${policy}`, escrow: 'waived' });
    expect((await tenant.points(policy)).map(({ point }) => point)).toEqual(points.map(({ point }) => point));
  });

  /** So many servers without networks, and what they ask of Ekko. */
  function applicationOf(name: string, count: number) {
    const properties = { image: cloud.imageId, flavor: cloud.flavorId, networks: [{ allocate_network: 'none' }] };
    return {
      heat_template_version: '2021-04-16',
      resources: {
        servers: {
          type: 'OS::Heat::ResourceGroup',
          properties: { count, resource_def: { type: 'OS::Nova::Server', properties } },
        },
        vault: { type: 'Ekko::Backup::Vault', properties: { name, escrow: 'waived' } },
        backup: {
          type: 'Ekko::Backup::Policy',
          properties: {
            ...{ name, vault: { get_attr: ['vault', 'vault'] }, stack: { get_param: 'OS::stack_id' } },
            ...{ cron: '0 3 * * *', time_zone: 'Europe/Berlin' },
          },
        },
      },
      outputs: { policy: { value: { get_attr: ['backup', 'policy'] } } },
    };
  }
});

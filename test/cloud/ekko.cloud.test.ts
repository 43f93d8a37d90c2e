import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from '#vault/changes/changes.ts';
import type { Topology } from '#vault/format/topology.ts';
import { type Desk, openDesk } from '../functions/command-line/ekko.ts';
import { runTool } from '../guest/run-tool.ts';
import { lacks } from '../setup/cache.ts';
import { callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, useEkko } from './ekko.ts';
import { executionsOf } from './executions.ts';
import { fireTrigger, triggersOf } from './fire-trigger.ts';
import { logIn } from './keystone.ts';
import { askAgent, attachVolume, bootServer, deleteServer, type Server } from './server.ts';
import { outputOf, stacksOf } from './stacks.ts';

const RUN = 'ekko.backup.v1.run';
/** Servers of a real Nova, backed up by an exporter beside its libvirt and `ekko serve`, with nobody's rights but the tenant's. */
const START_LIMIT_MS = 900_000;

interface Point {
  readonly point: string;
  readonly disks: number;
  readonly changedBytes: number;
  readonly consistency: string;
  readonly missing: readonly string[];
}

interface Run {
  readonly run: string;
  readonly state: string;
  readonly windowMs?: number;
  readonly members: readonly { readonly name: string; readonly state: string }[];
}

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))('Ekko in a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let ekko: EkkoSettings;
  let desk: Desk;
  let token: string;
  const prefix = `shop-${randomBytes(4).toString('hex')}`;
  const made: Server[] = [];

  beforeAll(async () => {
    [cloud, ekko, desk] = await Promise.all([useCloudWithServers(), useEkko(), openDesk()]);
    ({ token } = await logIn(cloud.keystone, cloud.keystone.member));
  }, START_LIMIT_MS);

  afterAll(async () => {
    for (const server of made) await deleteServer(cloud, token, server);
    await desk.remove();
  });

  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await callService<T>(token, method, `${ekko.catalog}${path}`, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${path} answers ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async function boot(name: string): Promise<Server> {
    const server = await bootServer(cloud, token, name);
    made.push(server);
    return server;
  }

  /** A file in the guest, which its page cache may hold until the guest is frozen. */
  async function writeInGuest({ id }: Server, path: string, text: string): Promise<void> {
    const handle = await askAgent(cloud, id, 'guest-file-open', { arguments: { path, mode: 'w' } });
    const content = Buffer.from(text).toString('base64');
    await askAgent(cloud, id, 'guest-file-write', { arguments: { handle, 'buf-b64': content } });
    await askAgent(cloud, id, 'guest-file-close', { arguments: { handle } });
  }

  async function backUp(policy: string): Promise<Point & Run> {
    const { run } = await call<Run>('POST', '/v1/runs', { policy });
    const held = await call<Run>('POST', `/v1/runs/${run}/moment`);
    let state = held;
    while (state.state === 'exporting') {
      await pause(500);
      state = await call<Run>('GET', `/v1/runs/${run}`);
    }
    const point = await call<Point>('POST', `/v1/runs/${run}/commit`);
    return { ...held, ...point };
  }

  /** With nothing but the container and the key, as it lies in the Key Manager. */
  async function keyFromBarbican(secret: string): Promise<void> {
    const headers = { 'x-auth-token': token, accept: 'text/plain' };
    const answer = await fetch(`${cloud.barbican.origin}/v1/secrets/${secret}/payload`, { headers });
    await writeFile(desk.path('key'), await answer.text(), { mode: 0o600 });
  }

  async function restoredFile(disk: string, path: string): Promise<string> {
    const { authUrl, member, region } = cloud.keystone;
    const access = {
      ...{ OS_AUTH_URL: authUrl, OS_USERNAME: member.user, OS_PASSWORD: member.password, OS_REGION_NAME: region },
      ...{ OS_PROJECT_NAME: member.project, OS_USER_DOMAIN_ID: 'default', OS_PROJECT_DOMAIN_ID: 'default' },
    };
    const outside = await openDesk(access);
    try {
      const target = outside.path('disk.img');
      const vault = `swift://backups/${prefix}`;
      const ended = await outside.run(['restore', vault, `latest/${disk}`, target], { keyFile: desk.path('key') });
      expect(ended).toMatchObject({ code: 0 });
      return await runTool('debugfs', ['-R', `cat ${path}`, target]);
    } finally {
      await outside.remove();
    }
  }

  test('two servers and a volume are one point at one moment, later ones hold what changed, and a disk comes back without the cloud', async () => {
    const servers = [await boot('web-1'), await boot('web-2')] as const;
    const volume = await attachVolume(cloud, token, servers[0], 1);
    const before = randomBytes(3000).toString('base64');
    await writeInGuest(servers[1], '/before', before);

    const vault = { store: `swift:backups/${prefix}`, escrow: 'waived' };
    const { access } = await call<{ access: { secret: string } }>('PUT', `/v1/vaults/${prefix}`, vault);
    const members = { servers: servers.map(({ id }) => id) };
    await call('PUT', `/v1/policies/${prefix}`, { vault: prefix, members, quiesce: 'require' });

    const first = await backUp(prefix);
    expect(first).toMatchObject({ disks: 3, consistency: 'file-system', missing: [] });
    const after = randomBytes(3000).toString('base64');
    await writeInGuest(servers[1], '/after', after);
    const second = await backUp(prefix);
    expect(second).toMatchObject({ disks: 3, missing: [] });
    expect(second.changedBytes).toBeGreaterThan(0);
    expect(second.changedBytes).toBeLessThan(first.changedBytes / 4);
    console.log(`moment of two servers: ${first.windowMs} ms and ${second.windowMs} ms, frozen and thawed over HTTP`);

    const { points } = await call<{ points: Point[] }>('GET', `/v1/vaults/${prefix}/points`);
    expect(points.map(({ point }) => point)).toEqual([second.point, first.point]);
    const topology = await call<Topology>('GET', `/v1/vaults/${prefix}/points/${second.point}/topology`);
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
    await keyFromBarbican(access.secret);
    expect(await restoredFile(`${servers[1].id}/root`, '/before')).toBe(before);
    expect(await restoredFile(`${servers[1].id}/root`, '/after')).toBe(after);
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(digest(before)).not.toBe(digest(after));
    expect(await askAgent(cloud, servers[0].id, 'guest-fsfreeze-status')).toBe('thawed');
    expect(volume).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('another project sees nothing of it, and gets nothing from the exporter', async () => {
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    const [server] = made;
    const paths = [`/v1/vaults/${prefix}`, `/v1/vaults/${prefix}/points`, `/v1/policies/${prefix}`];
    for (const path of paths) expect((await callService(strangers, 'GET', ekko.catalog + path)).status).toBe(404);
    const disks = await callService(strangers, 'GET', `${ekko.exporter}/v1/servers/${server?.id}`);
    expect(disks.status).toBe(404);
    expect((await callService('none', 'GET', `${ekko.exporter}/v1/servers/${server?.id}`)).status).toBe(401);
    expect((await callService('none', 'GET', `${ekko.catalog}/v1/vaults`)).status).toBe(401);
  });

  test('a stack declares its own backup: the servers of now are in each point, also the one that was added since', async () => {
    const { keystone, mistral, heat } = cloud;
    const stacks = stacksOf(`${heat.url}/${keystone.member.projectId}`, token);
    const executions = executionsOf(mistral.url, token);
    const policy = `app-${randomBytes(4).toString('hex')}`;

    const stack = await stacks.create(policy, applicationOf(policy, 1));
    const created = await stacks.settled(stack, 'CREATE');
    expect([created.stack_status, created.stack_status_reason]).toEqual(['CREATE_COMPLETE', expect.anything()]);
    expect(outputOf(created, 'policy')).toBe(policy);
    const first = await executions.run(RUN, { policy });
    expect(first.result).toMatchObject({ outcome: 'committed', failed: [] });

    await stacks.update(stack, applicationOf(policy, 2));
    expect((await stacks.settled(stack, 'UPDATE')).stack_status).toBe('UPDATE_COMPLETE');
    const [trigger] = (await triggersOf(cloud, token, RUN)).filter(({ workflow_input: input }) =>
      input.includes(policy),
    );
    await fireTrigger(cloud, trigger ?? expect.fail('no schedule'));
    const second = await executions.run(RUN, { policy });
    expect(second.result).toMatchObject({ outcome: 'committed', failed: [] });
    const { points } = await call<{ points: Point[] }>('GET', `/v1/vaults/${policy}/points`);
    expect(points.map(({ disks }) => disks)).toEqual([2, 1]);
    const { changes } = await call<{ changes: Change[] }>('GET', `/v1/vaults/${policy}/points/${points[0]?.point}`);
    expect(changes.map(({ kind, change }) => `${kind} ${change}`)).toContain('server added');
    const topology = await call<Topology>('GET', `/v1/vaults/${policy}/points/${points[0]?.point}/topology`);
    expect(topology.stack?.resources.filter(({ type }) => type === 'OS::Nova::Server')).toHaveLength(2);
    expect(await executions.everything()).not.toContain(token);

    await stacks.remove(stack);
    expect((await stacks.settled(stack, 'DELETE')).stack_status).toBe('DELETE_COMPLETE');
    // Nothing of it is gone: whoever names the container again has the points.
    await call('PUT', `/v1/vaults/${policy}`, { store: `swift:ekko-${policy}`, escrow: 'waived' });
    const kept = await call<{ points: Point[] }>('GET', `/v1/vaults/${policy}/points`);
    expect(kept.points.map(({ point }) => point)).toEqual(points.map(({ point }) => point));
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

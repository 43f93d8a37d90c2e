import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { askService, callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, startExporter, useEkko } from './ekko.ts';
import { executionsOf } from './executions.ts';
import { withoutServices } from './hold-services.ts';
import { logIn, revokeToken } from './keystone.ts';
import { deleteServer, type Server, untilAgentAnswers, untilStatus } from './server.ts';
import { stopDaemon } from './service.ts';
import { stacksOf } from './stacks.ts';
import { openTenant, type Point, type Run, type Tenant } from './tenant.ts';

/** What goes wrong in a cloud while backups are made, by its real services. */
const START_LIMIT_MS = 900_000;
const DOWN_MS = 60_000;
const RUN = 'ekko.backup.v1.run';

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))('On a bad day in a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let ekko: EkkoSettings;
  let tenant: Tenant;
  let [first, second]: (Server | undefined)[] = [];
  const vault = `bad-${randomBytes(4).toString('hex')}`;
  let policy = '';

  beforeAll(async () => {
    [cloud, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
    tenant = await openTenant(cloud, ekko);
    [first, second] = await Promise.all([tenant.boot('first'), tenant.boot('second')]);
    await tenant.makeVault(vault);
  }, START_LIMIT_MS);

  afterAll(() => tenant?.leave());

  beforeEach(async () => {
    await tenant.logInAgain();
    policy = `day-${randomBytes(4).toString('hex')}`;
  });

  /** Protects these servers, by the policy of the test. */
  async function protect(...servers: readonly (Server | undefined)[]): Promise<Server[]> {
    const known = servers.map((server) => server ?? expect.fail('no server'));
    const body = { vault, members: { servers: known.map(({ id }) => id) }, quiesce: 'prefer' };
    await tenant.call('PUT', `/v1/policies/${policy}`, body);
    return known;
  }

  async function takeMoment(): Promise<Run> {
    const { run } = await tenant.startRun(policy);
    return tenant.call<Run>('POST', `/v1/runs/${run}/moment`);
  }

  const commit = (run: string, partial = false) => tenant.call<Point>('POST', `/v1/runs/${run}/commit`, { partial });
  const act = (server: Server, action: object) =>
    askService(tenant.token, 'POST', `${cloud.nova.url}/servers/${server.id}/action`, action);
  const becomes = (server: Server, status: string) =>
    untilStatus(tenant.token, `${cloud.nova.url}/servers/${server.id}`, 'server', status);

  test('of two runs of a policy the second is refused with the name of the first, and comes when that was given up', async () => {
    await protect(first);
    const { run } = await tenant.startRun(policy);
    const refused = await tenant.ask('POST', '/v1/runs', { policy });
    expect(refused).toMatchObject({ status: 409, body: { code: 'run-under-way', run } });
    await tenant.call('DELETE', `/v1/runs/${run}`);
    expect((await tenant.backUp(policy)).disks).toBe(1);
  });

  test('a token that ends in the middle is replaced by the one of the next call', async () => {
    await protect(first, second);
    const { run } = await takeMoment();
    const ended = tenant.token;
    await tenant.logInAgain();
    await revokeToken(cloud.keystone, ended);
    expect((await tenant.exported(run)).state).toBe('staged');
    expect(await commit(run)).toMatchObject({ disks: 2, missing: [] });
  });

  test('Keystone, Swift, Barbican and Mistral gone for a minute make a backup late, and no more', async () => {
    const [server] = await protect(first, second);
    const text = randomBytes(60_000).toString('base64');
    const executions = executionsOf(cloud.mistral.url, tenant.token);
    await tenant.writeInGuest(server ?? expect.fail(), '/late', text);
    const execution = await executions.start(RUN, { policy });
    await untilStarted(execution);
    await withoutServices(['keystone', 'swift', 'barbican', 'mistral'], () => pause(DOWN_MS));
    expect((await executions.ended(execution)).result).toMatchObject({ outcome: 'committed', failed: [] });
    expect(await tenant.restoredFile(vault, `${server?.id}/root`, '/late')).toBe(text);
  });

  /** A workflow's run is known by its execution's id. */
  async function untilStarted(execution: string): Promise<void> {
    while ((await tenant.ask('GET', `/v1/runs/${execution}`)).status !== 200) await pause(200);
  }

  test('an exporter that dies with a moment loses that run, and not one change', async () => {
    const [server] = await protect(first, second);
    await tenant.backUp(policy);
    const text = randomBytes(60_000).toString('base64');
    await tenant.writeInGuest(server ?? expect.fail(), '/survives', text);
    const { run } = await takeMoment();
    await stopDaemon(ekko.folder, 'exporter', 'SIGKILL');
    const { members } = await tenant.exported(run);
    expect(members.map(({ state }) => state)).toContain('failed');
    await startExporter(ekko);
    await tenant.call('DELETE', `/v1/runs/${run}`);
    await untilProtected(policy);
    expect(await tenant.backUp(policy)).toMatchObject({ disks: 2, missing: [] });
    expect(await tenant.restoredFile(vault, `${server?.id}/root`, '/survives')).toBe(text);
  });

  /** An exporter says each minute that it is there. */
  async function untilProtected(name: string): Promise<void> {
    for (;;) {
      const { warnings } = await tenant.call<{ warnings: unknown[] }>('GET', `/v1/policies/${name}/members`);
      if (warnings.length === 0) return;
      await pause(1000);
    }
  }

  test('a server that is deleted during a run is missing in the point, and the next run says that it is gone', async () => {
    const victim = await tenant.boot('victim');
    await protect(first, victim);
    const { run } = await takeMoment();
    await deleteServer(cloud, tenant.token, victim);
    await tenant.exported(run);
    const point = await commit(run, true);
    // It may have been read by then, which is better.
    expect([1, 2]).toContain(point.disks);
    if (point.disks === 1) expect(point.missing.join()).toContain(victim.id);
    const next = await tenant.startRun(policy);
    expect(next.warnings).toEqual([expect.objectContaining({ code: 'server-missing' })]);
    await tenant.call('POST', `/v1/runs/${next.run}/moment`);
    await tenant.exported(next.run);
    expect(await commit(next.run, true)).toMatchObject({ disks: 1, missing: [victim.id] });
  });

  test('a server that is rebuilt during a run is read whole by the next one', async () => {
    const server = second ?? expect.fail();
    await protect(server);
    await tenant.writeInGuest(server, '/old', 'what the rebuild takes away');
    await tenant.backUp(policy);
    const { run } = await takeMoment();
    await act(server, { rebuild: { imageRef: cloud.imageId } });
    await becomes(server, 'REBUILD').catch(() => undefined);
    await becomes(server, 'ACTIVE');
    await untilAgentAnswers(cloud, server.id);
    await tenant.exported(run);
    await tenant.call('DELETE', `/v1/runs/${run}`);
    await tenant.writeInGuest(server, '/new', 'what came after');
    const point = await tenant.backUp(policy);
    expect(point.missing).toEqual([]);
    expect(await tenant.restoredFile(vault, `${server.id}/root`, '/new')).toBe('what came after');
    expect(await tenant.restoredFile(vault, `${server.id}/root`, '/old')).toBe('');
  });

  test('a server that is shelved is told, and backed up again when it is back', async () => {
    const server = second ?? expect.fail();
    await protect(server);
    await act(server, { shelve: null });
    await becomes(server, 'SHELVED_OFFLOADED');
    const refused = await tenant.ask<{ detail: string }>('POST', '/v1/runs', { policy });
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(refused.body.detail).toContain('SHELVED_OFFLOADED');
    await act(server, { unshelve: null });
    await becomes(server, 'ACTIVE');
    await untilAgentAnswers(cloud, server.id);
    expect(await tenant.backUp(policy)).toMatchObject({ disks: 1, missing: [] });
  });

  test('a stack that is deleted while its backup runs goes, and its run ends', async () => {
    const stacks = stacksOf(`${cloud.heat.url}/${cloud.keystone.member.projectId}`, tenant.token);
    const stack = await stacks.create(policy, stackOf(policy));
    expect((await stacks.settled(stack, 'CREATE')).stack_status).toBe('CREATE_COMPLETE');
    const { run } = await takeMoment();
    await stacks.remove(stack);
    const gone = await stacks.settled(stack, 'DELETE');
    expect([gone.stack_status, gone.stack_status_reason]).toEqual(['DELETE_COMPLETE', expect.anything()]);
    const found = await callService<Run>(tenant.token, 'DELETE', `${ekko.catalog}/v1/runs/${run}`);
    expect(found.status).toBeLessThan(500);
  });

  function stackOf(name: string) {
    const properties = { image: cloud.imageId, flavor: cloud.flavorId, networks: [{ allocate_network: 'none' }] };
    return {
      heat_template_version: '2021-04-16',
      resources: {
        server: { type: 'OS::Nova::Server', properties },
        vault: { type: 'Ekko::Backup::Vault', properties: { name, escrow: 'waived' } },
        backup: {
          type: 'Ekko::Backup::Policy',
          properties: { name, vault: { get_attr: ['vault', 'vault'] }, stack: { get_param: 'OS::stack_id' } },
        },
      },
    };
  }

  test('a stranger gets at nothing of it, by no call', async () => {
    await protect(first);
    const { run } = await tenant.backUp(policy);
    const { token: stranger } = await logIn(cloud.keystone, cloud.stranger);
    const ask = async (method: string, path: string, body?: object) =>
      (await callService(stranger, method, `${ekko.catalog}${path}`, body)).status;
    expect(await ask('GET', `/v1/runs/${run}`)).toBe(404);
    expect(await ask('DELETE', `/v1/runs/${run}`)).toBe(404);
    expect(await ask('POST', `/v1/runs/${run}/commit`, {})).toBe(404);
    expect(await ask('POST', '/v1/runs', { policy })).toBe(404);
    expect(await ask('GET', `/v1/policies/${policy}/members`)).toBe(404);
    expect(await ask('GET', `/v1/vaults/${vault}/points`)).toBe(404);
    expect(await ask('POST', `/v1/vaults/${vault}/upkeep`, { sweep: true })).toBe(404);
  });
});

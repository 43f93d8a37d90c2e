import { randomBytes } from 'node:crypto';
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { useCloudWithServers } from './compute.ts';
import { useEkko } from './ekko.ts';
import { fireTrigger, triggersOf } from './fire-trigger.ts';
import { askAgent, doInGuest, type Server } from './server.ts';
import { stacksOf } from './stacks.ts';
import { openTenant, type Point, type Tenant } from './tenant.ts';

/** How long things take in a cloud; they are printed, for a machine that does other work has no goals. */
const LONG_MS = 900_000;
const RUN = 'ekko.backup.v1.run';
/** What figures are worth. */
const busy = () => `${(loadavg()[0] ?? 0).toFixed(1)} programs ready to run on ${availableParallelism()} processors`;
const PERCENT = Math.round(1024 ** 3 / 100);

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))(
  'Of two servers',
  { timeout: LONG_MS },
  () => {
    let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
    let tenant: Tenant;
    let servers: readonly [Server, Server];
    const name = `figures-${randomBytes(4).toString('hex')}`;

    beforeAll(async () => {
      const [found, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
      cloud = found;
      tenant = await openTenant(cloud, ekko);
      servers = await Promise.all([tenant.boot('figures-1'), tenant.boot('figures-2')]);
      await tenant.makeVault(name);
    }, LONG_MS);

    afterAll(() => tenant?.leave());

    /** Milliseconds that the slower of the guests' agents takes. */
    async function slowestAgent(execute: string): Promise<number> {
      const began = performance.now();
      await Promise.all(servers.map(({ id }) => askAgent(cloud, id, execute)));
      return performance.now() - began;
    }

    test('all stand still for as long as their agents need, and a blink', async () => {
      const members = { servers: servers.map(({ id }) => id) };
      await tenant.call('PUT', `/v1/policies/${name}`, { vault: name, members, quiesce: 'require' });
      for (let round = 0; round < 3; round++) {
        const agents = (await slowestAgent('guest-fsfreeze-freeze')) + (await slowestAgent('guest-fsfreeze-thaw'));
        const { windowMs = Number.NaN, consistency, point } = await tenant.backUp(name);
        expect(consistency).toBe('file-system');
        type Shown = { readonly members: readonly { readonly frozenMs: number }[] };
        const { members: disks } = await tenant.call<Shown>('GET', `/v1/vaults/${name}/points/${point}`);
        const still = disks.map(({ frozenMs }) => Math.round(frozenMs)).join(' and ');
        const beyond = Math.round(windowMs - agents);
        console.log(
          `from freeze to thaw ${windowMs} ms, agents alone ${Math.round(agents)} ms, beyond them ${beyond} ms; each stood still for ${still} ms; ${busy()}`,
        );
      }
    });

    test('one with a hundredth changed is in a point soon after its schedule has fired', async () => {
      const [server] = servers;
      const policy = `${name}-hourly`;
      // Due five minutes ago, which is not too late, and not again while this test runs.
      const minute = new Date(Date.now() - 300_000).getUTCMinutes();
      const properties = { name: policy, vault: name, servers: [server.id], cron: `${minute} * * * *` };
      const stacks = stacksOf(`${cloud.heat.url}/${cloud.keystone.member.projectId}`, tenant.token);
      const resources = { backup: { type: 'Ekko::Backup::Policy', properties } };
      const stack = await stacks.create(policy, { heat_template_version: '2021-04-16', resources });
      expect((await stacks.settled(stack, 'CREATE')).stack_status).toBe('CREATE_COMPLETE');
      await tenant.backUp(policy);
      await doInGuest(cloud, server.id, `head -c ${PERCENT} /dev/urandom > /hundredth; sync`);
      const before = await tenant.points(name);
      const triggers = await triggersOf(cloud, tenant.token, RUN);
      const trigger = triggers.find(({ workflow_input: input }) => input.includes(policy));
      const fired = Date.now();
      await fireTrigger(cloud, trigger ?? expect.fail('no schedule'));
      const point = await untilNewPoint(before);
      type Told = { readonly startedAt: string; readonly takenAt: string };
      const { startedAt, takenAt } = await tenant.call<Told>('GET', `/v1/runs/${point.point}`);
      const after = (time: string) => ((Date.parse(time) - fired) / 1000).toFixed(1);
      const seconds = ((Date.now() - fired) / 1000).toFixed(1);
      console.log(
        `${point.changedBytes} bytes changed: started ${after(startedAt)} s after the schedule was due, moment after ${after(takenAt)} s, committed after ${seconds} s; ${busy()}`,
      );
      expect(point.changedBytes).toBeGreaterThanOrEqual(PERCENT);
      await stacks.remove(stack);
    });

    async function untilNewPoint(before: readonly Point[]): Promise<Point> {
      for (;;) {
        const points = await tenant.points(name);
        const found = points.find(({ point }) => !before.some((one) => one.point === point));
        if (found !== undefined) return found;
        await pause(100);
      }
    }
  },
);

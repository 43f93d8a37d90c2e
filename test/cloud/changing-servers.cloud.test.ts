import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { askService, callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { useEkko } from './ekko.ts';
import { backUpExactly, expectExact, rootDisk, type StillDisk } from './exact-disk.ts';
import { logIn } from './keystone.ts';
import { attachVolume, doInGuest, reattachVolume, type Server, untilAgentAnswers, virsh } from './server.ts';
import { openTenant, type Point, type Run, type Tenant } from './tenant.ts';

/** Servers whose owner changes them while they are backed up; each test has one of its own, beside other suites. */
/** With a boot and several backups each, on a machine that does other work at the time. */
const LONG_MS = 900_000;
const MUCH = 25_000_000;
/** So that the export of so much takes longer than whatever Nova does meanwhile. */
const SLOWLY = { bandwidth: 500_000 };

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))(
  'A server that changes',
  { timeout: LONG_MS },
  () => {
    let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
    let tenant: Tenant;
    let server: Server;
    const vault = `change-${randomBytes(4).toString('hex')}`;
    let policy = '';

    beforeAll(async () => {
      const [found, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
      cloud = found;
      tenant = await openTenant(cloud, ekko);
      await tenant.makeVault(vault);
    }, LONG_MS);

    afterAll(() => tenant?.leave());

    beforeEach(async () => {
      await tenant.logInAgain();
      policy = `change-${randomBytes(4).toString('hex')}`;
      server = await tenant.boot('changing');
      await protect();
    });

    const protect = (more: object = {}, ...others: readonly Server[]) => {
      const servers = [server, ...others].map(({ id }) => id);
      return tenant.call('PUT', `/v1/policies/${policy}`, { vault, members: { servers }, ...more });
    };

    const takeMoment = async (run: Run) => tenant.call<Run>('POST', `/v1/runs/${run.run}/moment`);
    const commit = (run: string, partial = false) => tenant.call<Point>('POST', `/v1/runs/${run}/commit`, { partial });
    const root = () => rootDisk(cloud, server);
    const volumeDisk = (volume: string): StillDisk => ({
      name: `${server.id}/${volume}`,
      image: join(cloud.cinder.volumes, `volume-${volume}`),
    });

    const backUp = (...disks: readonly StillDisk[]) =>
      backUpExactly({ cloud, tenant, vault }, policy, server, ...disks);
    const readingsOf = (point: Point) => tenant.readingsOf(vault, point);

    /** A moment of the server, with so much to export that it takes a while. */
    async function slowRun(device = ''): Promise<Run> {
      await doInGuest(cloud, server.id, `head -c ${MUCH} /dev/urandom > ${device || '/much'}; sync`);
      await protect(SLOWLY);
      const run = await takeMoment(await tenant.startRun(policy));
      await protect();
      return run;
    }

    describe('in its size', () => {
      async function addFlavor(disk: number): Promise<string> {
        const { token } = await logIn(cloud.keystone, cloud.keystone.admin);
        const flavor = { name: `changed-${randomBytes(4).toString('hex')}`, vcpus: 1, ram: 256, disk };
        type Made = { readonly flavor: { readonly id: string } };
        return (await askService<Made>(token, 'POST', `${cloud.nova.url}/flavors`, { flavor })).flavor.id;
      }

      /** Ends when Nova waits for the owner to confirm it. */
      async function resize(disk: number): Promise<void> {
        await tenant.act(server, { resize: { flavorRef: await addFlavor(disk) } });
        await tenant.becomes(server, 'VERIFY_RESIZE');
        await untilAgentAnswers(cloud, server.id);
      }

      /** The run says clearly that it has lost its server, cannot be taken for a backup, and makes room for the next one. */
      async function expectLost({ run }: Run): Promise<void> {
        const { members } = await tenant.exported(run);
        expect(members).toEqual([expect.objectContaining({ state: 'failed' })]);
        expect(members[0]?.problem).toMatch(/ended from outside.*No change is lost: run it again/);
        const refused = await tenant.ask<{ code: string }>('POST', `/v1/runs/${run}/commit`, { partial: true });
        expect([refused.status, refused.body.code]).toEqual([409, 'run-incomplete']);
        await tenant.call('DELETE', `/v1/runs/${run}`);
      }

      test('during a run, it loses that run, is read whole by the next one at its new size, and goes on incrementally once the owner confirms', async () => {
        await backUp(root());
        const run = await slowRun();
        await resize(2);
        await expectLost(run);
        await tenant.writeInGuest(server, '/resized', 'since');
        const whole = await backUp(root());
        expect(await readingsOf(whole)).toEqual(['disk-resized']);
        expect(await tenant.restoredFile(vault, root().name, '/resized')).toBe('since');
        await tenant.act(server, { confirmResize: null });
        await tenant.becomes(server, 'ACTIVE');
        await tenant.writeInGuest(server, '/confirmed', 'for good');
        const next = await backUp(root());
        expect(await readingsOf(next)).toEqual(['incremental']);
        expect(next.changedBytes).toBeLessThan(whole.changedBytes / 2);
      });

      test('and back, after backups of both, it is backed up as it was, and nothing of between comes with it', async () => {
        await tenant.writeInGuest(server, '/kept', 'from before');
        await backUp(root());
        const run = await slowRun();
        await resize(3);
        await expectLost(run);
        await tenant.writeInGuest(server, '/between', 'what the revert takes away');
        expect(await readingsOf(await backUp(root()))).toEqual(['disk-resized']);
        await tenant.act(server, { revertResize: null });
        await tenant.becomes(server, 'ACTIVE');
        await untilAgentAnswers(cloud, server.id);
        await tenant.writeInGuest(server, '/after', 'since the revert');
        await backUp(root());
        const contents = (path: string) => tenant.restoredFile(vault, root().name, path);
        expect(await contents('/kept')).toBe('from before');
        expect(await contents('/after')).toBe('since the revert');
        expect(await contents('/between')).toBe('');
        expect(await readingsOf(await backUp(root()))).toEqual(['incremental']);
      });
    });

    describe('in its volumes', () => {
      const attachment = (volume: string) => `${cloud.nova.url}/servers/${server.id}/os-volume_attachments/${volume}`;
      const askToDetach = (volume: string) => callService(tenant.token, 'DELETE', attachment(volume));

      /** Asks again where Nova was refused, as an owner would. */
      async function detach(volume: string): Promise<void> {
        for (let tries = 0; (await callService(tenant.token, 'GET', attachment(volume))).status !== 404; tries++) {
          if (tries % 20 === 0) await askToDetach(volume);
          await pause(500);
        }
      }

      test('during a run, it has in the point what it had at the moment, in the next one what it has then, and gives each volume back', async () => {
        const old = await attachVolume(cloud, tenant.token, server, 1);
        const { run } = await slowRun('/dev/vdb');
        expect((await askToDetach(old)).status).toBe(202);
        const added = await attachVolume(cloud, tenant.token, server, 1);
        expect((await tenant.exported(run)).state).toBe('staged');
        expect(await commit(run)).toMatchObject({ disks: 2, missing: [] });
        await expectExact(tenant, vault, volumeDisk(old));
        await detach(old);
        await doInGuest(cloud, server.id, 'head -c 1000000 /dev/urandom > /dev/vdc; sync');
        await backUp(root(), volumeDisk(added));
        await reattachVolume(cloud, tenant.token, server, old);
        await backUp(root(), volumeDisk(added), volumeDisk(old));
      });

      test('between the start of a run and its moment, it is missing in that point by name, and whole in the next', async () => {
        const other = await tenant.boot('steady');
        const volume = await attachVolume(cloud, tenant.token, server, 1);
        await protect({}, other);
        const started = await tenant.startRun(policy);
        await detach(volume);
        const { run } = await takeMoment(started);
        const { members } = await tenant.exported(run);
        const problems = members.flatMap(({ problem }) => problem ?? []);
        expect(problems).toEqual([expect.stringContaining(`has no disk "${server.id}/${volume}"`)]);
        const point = await commit(run, true);
        expect([point.disks, [...point.missing].sort()]).toEqual([
          1,
          [`${server.id}/root`, `${server.id}/${volume}`].sort(),
        ]);
        expect(await tenant.backUp(policy)).toMatchObject({ disks: 2, missing: [] });
      });

      test('when a run has read it, it is in that point, and no bitmap but that of the point stays', async () => {
        const volume = await attachVolume(cloud, tenant.token, server, 1);
        await tenant.backUp(policy);
        const { run } = await takeMoment(await tenant.startRun(policy));
        expect((await tenant.exported(run)).state).toBe('staged');
        await detach(volume);
        expect(await commit(run)).toMatchObject({ disks: 2, missing: [] });
        const nodes = await virsh(cloud, 'qemu-monitor-command', server.id, '{"execute": "query-named-block-nodes"}');
        expect(new Set(nodes.match(/"ekko-[^"]*"/g))).toEqual(new Set([`"ekko-${run}"`]));
        expect(await readingsOf(await backUp(root()))).toEqual(['incremental']);
      });
    });
  },
);

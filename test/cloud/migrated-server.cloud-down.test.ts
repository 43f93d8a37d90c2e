import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { askService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, startExporter, useEkko } from './ekko.ts';
import { backUpExactly, rootDisk } from './exact-disk.ts';
import { logIn } from './keystone.ts';
import { openHost, type SecondHost, useSecondHost } from './second-host.ts';
import { doInGuest, type Server, untilAgentAnswers } from './server.ts';
import { stopDaemon } from './service.ts';
import { openTenant, type Point, type Run, type Tenant } from './tenant.ts';

/** A server that Nova moves to another host while it is backed up. While that host is open, nobody else may boot servers. */
const LONG_MS = 900_000;
const MUCH = 25_000_000;
/** So that the export of so much takes longer than Nova to take the server away, and than libvirt waits before it refuses (30 s). */
const SLOWLY = { bandwidth: 500_000 };
/** An exporter that is stopped lets go of its servers first, on a busy machine too. */
const LET_GO_MS = 60_000;

type Cloud = Awaited<ReturnType<typeof useCloudWithServers>>;

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))(
  'A server that is migrated',
  { timeout: LONG_MS },
  () => {
    let cloud: Cloud;
    let ekko: EkkoSettings;
    let first: string;
    let second: SecondHost;
    let tenant: Tenant;
    let server: Server;
    /** The cloud with the hypervisor that has the server now. */
    let here: Cloud;
    const vault = `move-${randomBytes(4).toString('hex')}`;
    const policy = `move-${randomBytes(4).toString('hex')}`;

    beforeAll(async () => {
      [cloud, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
      first = ekko.host;
      second = await useSecondHost();
      tenant = await openTenant(cloud, ekko);
      await tenant.makeVault(vault);
      server = await tenant.boot('moving');
      here = cloud;
      await protect();
    }, LONG_MS);

    afterAll(async () => {
      await openHost(cloud, false);
      await tenant?.leave();
    });

    beforeEach(() => tenant.logInAgain());

    const protect = (more: object = {}) =>
      tenant.call('PUT', `/v1/policies/${policy}`, { vault, members: { servers: [server.id] }, ...more });

    const root = () => rootDisk(cloud, server);
    const backUp = () => backUpExactly({ cloud: here, tenant, vault }, policy, server, root());
    const readingsOf = (point: Point) => tenant.readingsOf(vault, point);

    /** A run with its moment taken, and so much to export that it takes a while. */
    async function slowRun(): Promise<Run> {
      await doInGuest(here, server.id, `head -c ${MUCH} /dev/urandom > /much; sync`);
      await protect(SLOWLY);
      const { run } = await tenant.startRun(policy);
      const held = await tenant.call<Run>('POST', `/v1/runs/${run}/moment`);
      await protect();
      return held;
    }

    const hostOfServer = async () => {
      type Found = { readonly members: readonly { readonly host?: string }[] };
      return (await tenant.call<Found>('GET', `/v1/policies/${policy}/members`)).members[0]?.host;
    };

    /** As the operator does. */
    async function askToMove(action: object): Promise<void> {
      const { token } = await logIn(cloud.keystone, cloud.keystone.admin);
      const version = { 'openstack-api-version': 'compute 2.56' };
      await openHost(cloud, true);
      await askService(token, 'POST', `${cloud.nova.url}/servers/${server.id}/action`, action, version);
    }

    async function isAt(host: string): Promise<void> {
      here = host === first ? cloud : { ...cloud, nova: { ...cloud.nova, hypervisor: second.hypervisor } };
      await untilAgentAnswers(here, server.id);
    }

    /** Ends when Nova waits for a confirmation. */
    async function migrateTo(host: string): Promise<void> {
      await askToMove({ migrate: { host } });
      await tenant.becomes(server, 'VERIFY_RESIZE');
      await isAt(host);
    }

    /** While it runs; ends when Nova is at work on it no more, wherever the server is then. */
    async function moveLive(host: string): Promise<void> {
      await askToMove({ 'os-migrateLive': { host, block_migration: 'auto', force: false } });
      await tenant.becomes(server, 'ACTIVE');
    }

    const confirm = async () => {
      await tenant.act(server, { confirmResize: null });
      await tenant.becomes(server, 'ACTIVE');
    };

    test('during a run loses that run, and the exporter of its new host goes on incrementally where the old one ended', async () => {
      await backUp();
      const { run } = await slowRun();
      await migrateTo(second.name);
      const { members } = await tenant.exported(run);
      expect(members).toEqual([expect.objectContaining({ state: 'failed' })]);
      expect(members[0]?.problem).toMatch(/ended from outside.*No change is lost: run it again/);
      const refused = await tenant.ask<{ code: string }>('POST', `/v1/runs/${run}/commit`, { partial: true });
      expect([refused.status, refused.body.code]).toEqual([409, 'run-incomplete']);
      await tenant.call('DELETE', `/v1/runs/${run}`);
      expect(await hostOfServer()).toBe(second.name);
      await doInGuest(here, server.id, 'echo moved > /moved; sync');
      expect(await readingsOf(await backUp())).toEqual(['incremental']);
      expect(await tenant.restoredFile(vault, root().name, '/moved')).toBe('moved\n');
      await confirm();
      expect(await readingsOf(await backUp())).toEqual(['incremental']);
    });

    test('after a run has read it is in that point, though its exporter does not find it any more, and goes on incrementally from there', async () => {
      await doInGuest(here, server.id, 'echo read > /read; sync');
      const { run } = await tenant.startRun(policy);
      await tenant.call('POST', `/v1/runs/${run}/moment`);
      expect((await tenant.exported(run)).state).toBe('staged');
      await migrateTo((await hostOfServer()) === first ? second.name : first);
      expect(await tenant.call('POST', `/v1/runs/${run}/commit`)).toMatchObject({ disks: 1, missing: [] });
      expect(await tenant.restoredFile(vault, root().name, '/read')).toBe('read\n');
      await confirm();
      expect(await readingsOf(await backUp())).toEqual(['incremental']);
    });

    test('while it runs goes on incrementally from where it is then; Nova gives the move up that it wants during a run, and the run goes on', async () => {
      const [from, to] = (await hostOfServer()) === first ? [first, second.name] : [second.name, first];
      await backUp();
      await moveLive(to);
      expect(await hostOfServer()).toBe(to);
      await isAt(to);
      await doInGuest(here, server.id, 'echo moved > /live; sync');
      expect(await readingsOf(await backUp())).toEqual(['incremental']);
      expect(await tenant.restoredFile(vault, root().name, '/live')).toBe('moved\n');

      const { run } = await slowRun();
      const moving = moveLive(from);
      expect((await tenant.exported(run)).state).toBe('staged');
      expect(await tenant.call('POST', `/v1/runs/${run}/commit`)).toMatchObject({ disks: 1, missing: [] });
      await moving;
      expect(await hostOfServer()).toBe(to);
      await moveLive(from);
      expect(await hostOfServer()).toBe(from);
      await isAt(from);
      expect(await readingsOf(await backUp())).toEqual(['incremental']);
    });

    test('leaves a host whose exporter is stopped during a run by a live migration, and goes on incrementally at the other', async () => {
      const [from, to] = (await hostOfServer()) === first ? [ekko, second.name] : [second, first];
      await tenant.backUp(policy);
      const { run } = await slowRun();
      await stopDaemon(from.folder, 'exporter', 'SIGTERM', LET_GO_MS);
      try {
        expect((await tenant.exported(run)).members).toEqual([expect.objectContaining({ state: 'failed' })]);
        await tenant.call('DELETE', `/v1/runs/${run}`);
        const refused = await tenant.ask<{ code: string }>('POST', '/v1/runs', { policy });
        expect([refused.status, refused.body.code]).toEqual([502, 'exporter-failed']);
        await moveLive(to);
        expect(await hostOfServer()).toBe(to);
        await isAt(to);
        await doInGuest(here, server.id, 'echo moved > /left');
        expect(await readingsOf(await backUp())).toEqual(['incremental']);
      } finally {
        await startExporter(from);
      }
    });
  },
);

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE } from '../../../functions/vault/words.ts';
import { type LibvirtSource, openLibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { askService, callService } from '../../cloud/call-service.ts';
import { useCloudWithServers } from '../../cloud/compute.ts';
import { logIn } from '../../cloud/keystone.ts';
import { askAgent, attachVolume, bootServer, deleteServer, type Server, virsh } from '../../cloud/server.ts';
import { lacks } from '../../setup/cache.ts';
import { createPoints, type Points, planOf, segments } from '../changed-blocks/disk-model.ts';
import { makeDirectory, type TestDirectory } from '../changed-blocks/running-qemu.ts';

const START_LIMIT_MS = 900_000;

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest'))('beside Nova', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let token: string;
  let server: Server;
  let directory: TestDirectory;
  let source: LibvirtSource;
  let points: Points;
  let root: string;

  beforeAll(async () => {
    cloud = await useCloudWithServers();
    ({ token } = await logIn(cloud.keystone, cloud.keystone.member));
    directory = await makeDirectory();
    server = await bootServer(cloud, token, 'web');
    root = `${server.id}/root`;
  }, START_LIMIT_MS);

  afterAll(() => directory?.remove());

  beforeEach(() => {
    source = open(server.id);
    points = createPoints();
  });

  afterEach(async () => {
    await source.close();
    expect(await readdir(directory.scratch)).toEqual([]);
  });

  const open = (domain: string) =>
    openLibvirtSource({
      ...{ connection: { uri: cloud.nova.hypervisor.uri, program: 'virsh' }, domain },
      ...{ scratchDirectory: directory.scratch, stateDirectory: directory.state, scratchLowWater: 1024 * 1024 },
    });
  const url = () => `${cloud.nova.url}/servers/${server.id}`;
  const act = (action: object) => callService(token, 'POST', `${url()}/action`, action);

  type Shown = { server: { status: string; 'OS-EXT-STS:task_state': string | null } };
  async function untilStatus(wanted: string): Promise<void> {
    for (;;) {
      const { status, 'OS-EXT-STS:task_state': task } = (await askService<Shown>(token, 'GET', url())).server;
      if (status === wanted && task === null) return;
      if (status === 'ERROR') throw new Error('The server is in ERROR');
      await sleep(300);
    }
  }

  async function untilAgentAnswers(): Promise<void> {
    for (;;) {
      try {
        await askAgent(cloud, server.id, 'guest-ping');
        return;
      } catch {
        await sleep(300);
      }
    }
  }

  /** Writes to the root disk from within. */
  async function writeInGuest(name: string): Promise<void> {
    const args = ['-c', `head -c 300000 /dev/urandom > /${name}; sync`];
    const started = await askAgent(cloud, server.id, 'guest-exec', { arguments: { path: '/bin/sh', arg: args } });
    for (let done = false; !done; await sleep(100)) {
      const status = await askAgent(cloud, server.id, 'guest-exec-status', { arguments: started as object });
      done = (status as { exited: boolean }).exited;
    }
  }

  type Digests = Map<number, string>;
  async function digest(moment: HeldMoment, wanted: Iterable<number>): Promise<Digests> {
    const { index } = planOf(moment, root);
    const digests: Digests = new Map();
    const bytes = Buffer.alloc(SEGMENT_SIZE);
    for (const segment of wanted) {
      await moment.read(index, segment * SEGMENT_SIZE, SEGMENT_SIZE, bytes);
      digests.set(segment, createHash('sha1').update(bytes).digest('hex'));
    }
    return digests;
  }

  /** A full backup of the root disk; what it held. */
  async function full(run: string): Promise<Digests> {
    const moment = await source.take(points.request(run, { quiesce: 'require' }));
    const digests = await digest(moment, segments(planOf(moment, root).plan.data));
    points.add(run, moment.plans);
    await moment.end('committed');
    return digests;
  }

  /** The next backup counts from `base`, and what it does not list is as it was then. */
  async function expectIncremental(run: string, base: string, before: Digests): Promise<void> {
    const moment = await source.take(points.request(run, { quiesce: 'require' }));
    const { plan } = planOf(moment, root);
    expect(plan).toMatchObject({ base, fullReason: undefined });
    const listed = new Set([...segments(plan.data), ...segments(plan.zero)]);
    expect(listed.size).toBeGreaterThan(0);
    expect(listed.size).toBeLessThan(before.size);
    const clean = [...before.keys()].filter((segment) => !listed.has(segment));
    const now = await digest(moment, clean);
    expect(clean.filter((segment) => now.get(segment) !== before.get(segment))).toEqual([]);
    points.add(run, moment.plans);
    await moment.end('committed');
    expect((await virsh(cloud, 'checkpoint-list', server.id, '--name')).trim()).toBe('');
  }

  test.each([
    ['a soft reboot', async () => void (await act({ reboot: { type: 'SOFT' } }))],
    ['a hard reboot', async () => void (await act({ reboot: { type: 'HARD' } }))],
    [
      'a stop and a start',
      async () => {
        await act({ 'os-stop': null });
        await untilStatus('SHUTOFF');
        await expect(source.take(points.request('none'))).rejects.toThrow('shut off');
        await act({ 'os-start': null });
      },
    ],
    ['a snapshot', () => snapshot('between')],
  ])('%s between two backups: Nova succeeds, and the second is incremental and complete', async (_, operate) => {
    const before = await full('r1');
    await writeInGuest('one');
    await operate();
    await untilStatus('ACTIVE');
    await untilAgentAnswers();
    await writeInGuest('two');
    await expectIncremental('r2', 'r1', before);
  });

  async function snapshot(name: string): Promise<void> {
    expect((await act({ createImage: { name } })).status).toBe(202);
    for (let status = ''; status !== 'active'; await sleep(300)) {
      const found = await askService<{ images: { status: string }[] }>(
        token,
        'GET',
        `${cloud.glance.origin}/v2/images?name=${name}`,
      );
      status = found.images[0]?.status ?? '';
    }
    await untilStatus('ACTIVE');
  }

  test.each([
    ['a snapshot', () => snapshot('during')],
    ['a hard reboot', async () => void (await act({ reboot: { type: 'HARD' } }))],
    ['a soft reboot', async () => void (await act({ reboot: { type: 'SOFT' } }))],
  ])('%s during a backup: Nova succeeds, the backup is told, and the next one misses nothing', async (_, operate) => {
    const before = await full('r1');
    await writeInGuest('three');
    const moment = await source.take(points.request('r2'));
    await operate();
    await untilStatus('ACTIVE');
    await expect(digest(moment, before.keys())).rejects.toThrow('ended from outside');
    await moment.end('abandoned');
    await untilAgentAnswers();
    await expectIncremental('r3', 'r1', before);
  });

  test('a stop during a backup ends it; after a start the next one misses nothing', async () => {
    const before = await full('r1');
    await writeInGuest('four');
    const moment = await source.take(points.request('r2'));
    await act({ 'os-stop': null });
    await untilStatus('SHUTOFF');
    await expect(digest(moment, before.keys())).rejects.toThrow('shut off');
    await moment.end('abandoned');
    await act({ 'os-start': null });
    await untilStatus('ACTIVE');
    await untilAgentAnswers();
    await expectIncremental('r3', 'r1', before);
  });

  test('a volume attached and detached during a backup: the backup goes on; the volume is in the next one', async () => {
    const before = await full('r1');
    await writeInGuest('five');
    const moment = await source.take(points.request('r2'));
    const volume = await attachVolume(cloud, token, server, 1);
    await digest(moment, before.keys());
    const attachment = `${url()}/os-volume_attachments/${volume}`;
    await callService(token, 'DELETE', attachment);
    while ((await callService(token, 'GET', attachment)).status !== 404) await sleep(300);
    await digest(moment, before.keys());
    await moment.end('abandoned');
    const again = await attachVolume(cloud, token, server, 1);
    await expectIncremental('r3', 'r1', before);
    expect((await source.disks()).map(({ name }) => name)).toEqual([root, `${server.id}/${again}`]);
  });

  test('a volume of the backup cannot be detached meanwhile, and can be afterwards', async () => {
    const moment = await source.take(points.request('r1'));
    const volume =
      moment.plans
        .map(({ disk }) => disk.name)
        .find((name) => name !== root)
        ?.split('/')[1] ?? '';
    const attachment = `${url()}/os-volume_attachments/${volume}`;
    await callService(token, 'DELETE', attachment);
    await sleep(5_000);
    const shown = await callService(token, 'GET', attachment);
    console.log(`detach during the backup: attachment ${shown.status}`);
    await moment.end('abandoned');
    for (let tries = 0; (await callService(token, 'GET', attachment)).status !== 404; tries++) {
      if (tries % 20 === 0) await callService(token, 'DELETE', attachment);
      await sleep(500);
    }
    await untilStatus('ACTIVE');
  });

  test('how long a server stands still', async () => {
    await attachVolume(cloud, token, server, 1);
    const spans: number[] = [];
    for (let at = 0; at < 10; at++) {
      const moment = await source.take(points.request(`w${at}`, { quiesce: 'require' }));
      spans.push(Math.round(moment.frozenMs));
      points.add(`w${at}`, moment.plans);
      await moment.end('committed');
    }
    console.log(`frozen for ${spans.toSorted((a, b) => a - b).join(', ')} ms`);
    expect(spans.length).toBe(10);
  });

  test('a server deleted during a backup: it is gone, the backup ends without a trace', async () => {
    const moment = await source.take(points.request('r1'));
    await deleteServer(cloud, token, server);
    await expect(digest(moment, [0, 1])).rejects.toThrow('ended from outside');
    await moment.end('abandoned');
    expect(await virsh(cloud, 'list', '--all', '--uuid')).not.toContain(server.id);
    expect(await readdir(directory.state)).toEqual([]);
  });
});

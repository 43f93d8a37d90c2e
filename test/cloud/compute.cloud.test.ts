import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { logIn } from './keystone.ts';
import { askAgent, attachVolume, bootServer, deleteServer, virsh } from './server.ts';

/** From nothing, beside other tests, it takes a while. */
const START_LIMIT_MS = 600_000;

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest'))('the servers of a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;

  beforeAll(async () => {
    cloud = await useCloudWithServers();
  }, START_LIMIT_MS);

  test('a server boots, its guest agent answers, a volume is attached, and all is gone in the end', async () => {
    const { token } = await logIn(cloud.keystone, cloud.keystone.member);
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    const server = await bootServer(cloud, token, 'web');
    expect(await askAgent(cloud, server.id, 'guest-fsfreeze-status')).toBe('thawed');
    const volumeId = await attachVolume(cloud, token, server, 1);
    expect((await stat(join(cloud.cinder.volumes, `volume-${volumeId}`))).size).toBe(2 ** 30);
    expect(await virsh(cloud, 'domblklist', server.id)).toMatch(new RegExp(`vdb .*volume-${volumeId}`));
    expect((await stat(join(cloud.nova.instances, server.id, 'disk'))).isFile()).toBe(true);
    const url = `${cloud.nova.url}/servers/${server.id}`;
    expect((await callService(strangers, 'GET', url)).status).toBe(404);
    await deleteServer(cloud, token, server);
    expect(await virsh(cloud, 'list', '--all', '--uuid')).not.toContain(server.id);
  });
});

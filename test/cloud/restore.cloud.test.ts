import { randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTool } from '../guest/run-tool.ts';
import { lacks } from '../setup/cache.ts';
import { askService, callService } from './call-service.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, useEkko } from './ekko.ts';
import { type Executions, executionsOf } from './executions.ts';
import { logIn } from './keystone.ts';
import { askAgent, attachVolume, deleteServer, type Server, untilAgentAnswers, virsh } from './server.ts';
import { openTenant, type Tenant } from './tenant.ts';

const SERVER = 'ekko.restore.v1.server';
const DISK = 'ekko.restore.v1.disk';
const START_LIMIT_MS = 900_000;
/** A guest is emulated, beside whatever else runs. */
const LIMIT_MS = 600_000;

interface Volume {
  readonly id: string;
  readonly status: string;
  readonly size: number;
  readonly metadata: Record<string, string>;
}

/** Servers of a real Nova come back as new ones, through a real Glance and a real Cinder, driven by a real Mistral. */
describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))('restored in a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let ekko: EkkoSettings;
  let tenant: Tenant;
  let executions: Executions;
  let server: Server;
  let dataVolume: string;
  let point: string;
  const name = `back-${randomBytes(4).toString('hex')}`;
  const pattern = randomBytes(3000).toString('base64');
  const data = randomBytes(1024 ** 2);
  const made: Server[] = [];

  beforeAll(async () => {
    [cloud, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
    tenant = await openTenant(cloud, ekko);
    executions = executionsOf(cloud.mistral.url, tenant.token);
    server = await tenant.boot('web');
    dataVolume = await attachVolume(cloud, tenant.token, server, 1);
    await tenant.writeInGuest(server, '/pattern', pattern);
    await writeToVolume(dataVolume, 300 * 1024 ** 2, data);
    await tenant.makeVault(name);
    await tenant.call('PUT', `/v1/policies/${name}`, {
      vault: name,
      members: { servers: [server.id] },
      quiesce: 'require',
    });
    ({ point } = await tenant.backUp(name));
    await tenant.writeInGuest(server, '/pattern', 'what came after the point');
  }, START_LIMIT_MS);

  afterAll(async () => {
    for (const each of made) await deleteServer(cloud, tenant.token, each);
    await tenant?.leave();
  });

  /** Past the guest, which takes no disk while it runs. */
  async function writeToVolume(id: string, offset: number, bytes: Buffer): Promise<void> {
    const file = await open(join(cloud.cinder.volumes, `volume-${id}`), 'r+');
    await file.write(bytes, 0, bytes.length, offset);
    await file.sync();
    await file.close();
  }

  async function readInGuest({ id }: Server, path: string, offset: number, count: number): Promise<Buffer> {
    const handle = await askAgent(cloud, id, 'guest-file-open', { arguments: { path, mode: 'r' } });
    await askAgent(cloud, id, 'guest-file-seek', { arguments: { handle, offset, whence: 0 } });
    const pieces: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const more = { arguments: { handle, count: Math.min(left, 1024 ** 2) } };
      const { 'buf-b64': text, count: got } = (await askAgent(cloud, id, 'guest-file-read', more)) as {
        'buf-b64': string;
        count: number;
      };
      if (got === 0) break;
      pieces.push(Buffer.from(text, 'base64'));
      left -= got;
    }
    await askAgent(cloud, id, 'guest-file-close', { arguments: { handle } });
    return Buffer.concat(pieces);
  }

  async function domainOf(id: string): Promise<Server> {
    const back = { id, domain: (await virsh(cloud, 'domname', id)).trim() };
    made.push(back);
    await untilAgentAnswers(cloud, id);
    return back;
  }

  const project = () => cloud.keystone.member.projectId;
  const volumes = async () =>
    (await askService<{ volumes: Volume[] }>(tenant.token, 'GET', `${cloud.cinder.url}/${project()}/volumes/detail`))
      .volumes;
  const imagesOf = async (which: string) => {
    const url = `${cloud.glance.origin}/v2/images?ekko_point=${which}`;
    const hidden = await askService<{ images: object[] }>(tenant.token, 'GET', `${url}&os_hidden=true`);
    const shown = await askService<{ images: { name: string }[] }>(tenant.token, 'GET', url);
    return { hidden: hidden.images.length, shown: shown.images.map((image) => image.name) };
  };

  async function expectWhole(back: Server): Promise<void> {
    expect((await readInGuest(back, '/pattern', 0, pattern.length)).toString()).toBe(pattern);
    expect((await readInGuest(back, '/dev/vdb', 300 * 1024 ** 2, data.length)).equals(data)).toBe(true);
    expect(await askAgent(cloud, back.id, 'guest-fsfreeze-status')).toBe('thawed');
  }

  test('a server and its volume come back as a new server on new volumes, with what they held at the point', {
    timeout: LIMIT_MS,
  }, async () => {
    const began = performance.now();
    const { state, result } = await executions.run(SERVER, {
      vault: name,
      point: 'latest',
      group: name,
      server: server.id,
    });
    expect([state, result]).toEqual(['SUCCESS', expect.objectContaining({ outcome: 'restored' })]);
    console.log(`a server with two disks came back in ${Math.round((performance.now() - began) / 1000)} s`);
    const found = result as { server: string; volumes: string[] };
    expect(found.volumes).toHaveLength(2);
    await expectWhole(await domainOf(found.server));
    const all = await volumes();
    for (const id of found.volumes)
      expect(all.find((each) => each.id === id)).toMatchObject({ status: 'in-use', metadata: { ekko_point: point } });
    // The images were made for the volumes only.
    expect(await imagesOf(point)).toEqual({ hidden: 0, shown: [] });
    // Nothing has touched the original.
    expect(await askAgent(cloud, server.id, 'guest-ping')).toEqual({});
    expect(await executions.everything()).not.toContain(tenant.token);
  });

  test('or on a local disk made of an image that stays, under a name of its own', { timeout: LIMIT_MS }, async () => {
    const wish = { vault: name, point, server: server.id, root: 'image', name: 'on-an-image' };
    const { state, result } = await executions.run(SERVER, wish);
    expect([state, result]).toEqual(['SUCCESS', expect.objectContaining({ outcome: 'restored' })]);
    const found = result as { server: string; volumes: string[] };
    expect(found.volumes).toHaveLength(1);
    await expectWhole(await domainOf(found.server));
    expect((await stat(join(cloud.nova.instances, found.server, 'disk'))).isFile()).toBe(true);
    const { hidden, shown } = await imagesOf(point);
    expect([hidden, shown]).toEqual([0, [expect.stringContaining('web')]]);
  });

  test('a disk comes back as a volume', { timeout: LIMIT_MS }, async () => {
    const { state, result } = await executions.run(DISK, {
      ...{ vault: name, point, disk: `${server.id}/${dataVolume}`, name: 'data again' },
    });
    expect([state, result]).toEqual(['SUCCESS', expect.objectContaining({ outcome: 'restored' })]);
    const path = join(cloud.cinder.volumes, `volume-${String(result['volume'])}`);
    const [original, again] = [join(cloud.cinder.volumes, `volume-${dataVolume}`), path];
    expect(await runTool('qemu-img', ['compare', '-U', '-f', 'raw', '-F', 'raw', original, again])).toContain(
      'identical',
    );
  });

  test('a server that nobody can boot leaves nothing, and says why', { timeout: LIMIT_MS }, async () => {
    const before = await volumes();
    const wish = { vault: name, point, server: server.id, flavor: '00000000-0000-4000-8000-000000000000' };
    const { state, result } = await executions.run(SERVER, wish);
    expect([state, result]).toEqual(['ERROR', expect.objectContaining({ outcome: 'failed', left: [] })]);
    expect(String(result['detail'])).toMatch(/Nova: .*[Ff]lavor/);
    expect((await volumes()).map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
  });

  test('strangers see nothing of it', async () => {
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    const { restores } = await tenant.call<{ restores: { restore: string }[] }>('GET', '/v1/restores');
    expect(restores.length).toBeGreaterThan(2);
    const url = `${ekko.catalog}/v1/restores`;
    expect((await callService<{ restores: object[] }>(strangers, 'GET', url)).body.restores).toEqual([]);
    for (const { restore } of restores)
      expect((await callService(strangers, 'DELETE', `${url}/${restore}?images=all`)).status).toBe(404);
  });
});

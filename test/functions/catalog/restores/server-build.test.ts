import { describe, expect, test } from 'vitest';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import { inDeviceOrder } from '../../../../functions/catalog/restores/boot-disk.ts';
import { planDisk } from '../../../../functions/catalog/restores/plan-disk.ts';
import { type BuildWish, checkBuild, planBuild } from '../../../../functions/catalog/restores/server-build.ts';
import { exampleServer, exampleTopology, exampleVolume } from '../../../example-topology.ts';

const PLAIN: BuildWish = { root: 'volume', addresses: 'new' };
const ROOT = 'server-1/root';
const DATA = 'server-1/volume-server-1';
const topology = {
  ...exampleTopology(),
  servers: [exampleServer('server-1', 'web-1')],
  volumes: [exampleVolume('volume-server-1', 'data of web')],
};
const POINT: RestorePoint = {
  id: '20261121-030000-000001',
  group: 'shop',
  takenAt: topology.readAt,
  disks: [],
  topology,
};
const { topology: _, ...BARE } = POINT;
const disk = (name: string) => ({ name, manifest: 'm', diskSize: 1 }) as PointDisk;

describe('a server', () => {
  test('is built as it was, under another name, with addresses of its own', () => {
    const { server, boot, missing } = planBuild(POINT, 'server-1', [ROOT, DATA], PLAIN);
    expect([boot, missing]).toEqual([ROOT, []]);
    expect(server).toEqual({
      ...{ name: 'web-1-restored', flavorRef: '2', key_name: 'ops', networks: [{ uuid: 'network-1' }] },
      security_groups: [{ name: 'web' }],
      metadata: { role: 'web', ekko_point: POINT.id, ekko_server: 'server-1' },
    });
  });

  test('gets its addresses again where they are wanted', () => {
    const { server } = planBuild(POINT, 'server-1', [ROOT], { ...PLAIN, addresses: 'same' });
    expect(server['networks']).toEqual([{ uuid: 'network-1', fixed_ip: '10.0.0.5' }]);
  });

  test('is built as it is wished', () => {
    const wish: BuildWish = {
      ...PLAIN,
      ...{ name: 'new', flavor: '9', networks: 'none', keyName: '', availabilityZone: 'b', securityGroups: ['x'] },
    };
    expect(planBuild(POINT, 'server-1', [ROOT], wish).server).toEqual({
      ...{ name: 'new', flavorRef: '9', networks: 'none', availability_zone: 'b' },
      metadata: expect.anything(),
    });
  });

  test('holds nothing that may be secret: its user data stays in the vault', () => {
    expect(topology.servers[0]?.userData).toBeDefined();
    expect(JSON.stringify(planBuild(POINT, 'server-1', [ROOT], PLAIN))).not.toContain(topology.servers[0]?.userData);
  });

  test('of a point that does not tell what it was needs to be told, and all that is missing is named', () => {
    const plan = planBuild(BARE, 'server-1', [ROOT], PLAIN);
    expect(plan.missing).toEqual(['flavor', 'networks']);
    expect(() => checkBuild(plan, BARE.id)).toThrow(
      /does not tell the flavor and the networks.*Give: flavor, networks/,
    );
    const told = planBuild(BARE, 'server-1', [ROOT], { ...PLAIN, flavor: '1', networks: 'auto' });
    expect(checkBuild(told, BARE.id).server).toMatchObject({ name: 'server-1-restored', flavorRef: '1' });
  });

  test('without ports has no network again, unless ports could not be read', () => {
    const portless = { ...POINT, topology: { ...topology, ports: [] } };
    expect(planBuild(portless, 'server-1', [ROOT], PLAIN).server['networks']).toBe('none');
    const unread = { ...POINT, topology: { ...topology, ports: [], omitted: [{ part: 'ports', why: 'no answer' }] } };
    expect(planBuild(unread, 'server-1', [ROOT], PLAIN).missing).toEqual(['networks']);
  });

  test.each([
    ['the disk with boot index 0', [DATA, ROOT], ROOT],
    ['its local disk, where the first cannot be had', ['other/vol', 'other/root'], 'other/root'],
    ['its first disk', ['other/a', 'other/b'], 'other/a'],
  ])('boots from %s', (_, names, expected) => {
    expect(planBuild(POINT, 'server-1', names, PLAIN).boot).toBe(expected);
  });

  test('has its disks in the order of its devices, the one that it boots from first', () => {
    const [server] = topology.servers;
    expect(inDeviceOrder(['server-1/x', DATA, ROOT], server, ROOT)).toEqual([ROOT, DATA, 'server-1/x']);
  });
});

describe('a disk', () => {
  test('of a volume becomes one of the same type, name and metadata', () => {
    expect(planDisk(POINT, disk(DATA), 'volume', {})).toMatchObject({
      ...{ becomes: 'volume', imageName: `web-1 data of web (${POINT.id})` },
      volume: {
        ...{ name: 'web-1 data of web', volume_type: 'fast', availability_zone: 'nova' },
        metadata: { purpose: 'data', ekko_point: POINT.id, ekko_disk: DATA },
      },
      properties: { ekko_point: POINT.id, ekko_disk: DATA },
    });
  });

  test('has of its image what tells hypervisors how to treat it, and nothing that is the image’s own', () => {
    const [image] = topology.images;
    const properties = {
      ...{ hw_disk_bus: 'scsi', os_distro: 'debian', kernel_id: 'k', architecture: 'x86_64', owner_note: 'x' },
      ...{
        os_hash_value: 'x',
        os_hidden: 'True',
        os_glance_import_task: 'x',
        img_signature: 'x',
        hw_long: 'x'.repeat(300),
      },
    };
    const point = {
      ...POINT,
      topology: { ...topology, images: [{ ...image, id: 'image-1', properties }] },
    } as RestorePoint;
    expect(planDisk(point, disk(ROOT), 'image', { hw_disk_bus: 'virtio' }).properties).toEqual({
      ...{ hw_disk_bus: 'virtio', os_distro: 'debian', kernel_id: 'k', architecture: 'x86_64' },
      ...{ ekko_point: POINT.id, ekko_disk: ROOT },
    });
  });

  test('of which nothing is known is named as the point names it', () => {
    expect(planDisk(BARE, disk(DATA), 'image', {})).toMatchObject({
      imageName: `server-1 volume-server-1 (${POINT.id})`,
      properties: { ekko_point: POINT.id, ekko_disk: DATA },
    });
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import type { Topology } from '#vault/format/topology.ts';
import { decodeTopology, encodeTopology } from '#vault/format/topology-bytes.ts';
import type { Caller } from '../../../../functions/catalog/caller.ts';
import type { MemberServer } from '../../../../functions/catalog/group/find-disks.ts';
import { completeTopology, findTopology } from '../../../../functions/catalog/topology/read-topology.ts';
import { unprotectedIn } from '../../../../functions/catalog/topology/unprotected.ts';
import type { HttpFake } from '../http-fake.ts';
import { BOOT, DATA, DB, openSaidCloud, PROJECT, type SaidCloud, SECRET, saidCloud, WEB } from './said-cloud.ts';

const GIB = 1024 ** 3;
const CALLER: Caller = { token: 'alice', project: PROJECT, user: 'u', roles: ['member'], expiresAt: Date.now() + 1e6 };
const NOW = new Date('2026-11-21T03:00:01Z');
const MEMBERS: MemberServer[] = [
  {
    ...{ server: WEB, name: 'web-1', status: 'ACTIVE', volumes: [DATA], host: 'c1', exporter: 'http://c1' },
    disks: [
      { name: `${WEB}/root`, source: `${WEB}/root`, size: 20 * GIB, device: 'vda' },
      { name: `${WEB}/${DATA}`, source: `${WEB}/${DATA}`, size: 10 * GIB, volume: DATA, device: 'vdb' },
    ],
  },
  {
    ...{ server: DB, name: 'db-1', status: 'ACTIVE', volumes: [BOOT], host: 'c2', exporter: 'http://c2' },
    disks: [{ name: `${DB}/${BOOT}`, source: `${DB}/${BOOT}`, size: 20 * GIB, volume: BOOT }],
  },
];

let fake: HttpFake | undefined;
afterEach(() => fake?.close());

async function read(cloud: SaidCloud = saidCloud(), { longestMs = 20_000, members = MEMBERS, without = '' } = {}) {
  fake = await openSaidCloud(cloud);
  const at = (service: string) => (service === without ? {} : { [service]: `${fake?.url}/${service}` });
  const endpoints = {
    ...{ nova: `${fake.url}/nova`, swift: '', barbican: '' },
    ...{ ...at('cinder'), ...at('neutron'), ...at('glance') },
    ...(without === 'heat' ? {} : { heat: `${fake.url}/heat/%(project_id)s` }),
  };
  const found = await findTopology(endpoints, CALLER, { servers: members, stack: 'shop' }, NOW, longestMs);
  return completeTopology(found, members, []);
}

const partsOf = ({ omitted }: Topology) => omitted.map(({ part }) => part);

describe('the topology of a group', () => {
  test('has its servers as they were made, and their disks as their exporters see them', async () => {
    const { servers } = await read();
    expect(servers).toEqual([
      {
        ...{ id: WEB, name: 'web-1', status: 'ACTIVE', configDrive: false, availabilityZone: 'nova', keyName: 'ops' },
        flavor: {
          ...{ id: '2', name: 'm1.small', vcpus: 1, ramMiB: 2048, diskGiB: 20, ephemeralGiB: 0, swapMiB: 0 },
          extraSpecs: { 'hw:cpu_policy': 'shared' },
        },
        image: { id: 'image-1', name: 'debian-12' },
        ...{ metadata: { role: 'web' }, tags: ['backup'], securityGroups: ['web'], serverGroup: 'group-1' },
        addresses: [
          { network: 'inner', address: '10.0.0.5', kind: 'fixed', mac: 'fa:16:3e:00:00:05' },
          { network: 'inner', address: '203.0.113.9', kind: 'floating', mac: 'fa:16:3e:00:00:05' },
        ],
        disks: [
          { name: `${WEB}/root`, size: 20 * GIB, device: '/dev/vda', bootIndex: 0, wanted: true },
          {
            ...{ name: `${WEB}/${DATA}`, size: 10 * GIB, volume: DATA, device: '/dev/vdb', wanted: true },
            deleteOnTermination: false,
          },
        ],
      },
      expect.objectContaining({
        ...{ id: DB, name: 'db-1', configDrive: true },
        disks: [
          {
            ...{ name: `${DB}/${BOOT}`, size: 20 * GIB, volume: BOOT, device: '/dev/vda', bootIndex: 0, wanted: true },
            deleteOnTermination: true,
          },
        ],
      }),
    ]);
    expect(servers[1]).not.toHaveProperty('image');
    expect(servers[1]).not.toHaveProperty('keyName');
  });

  test('has volumes, images, key pairs and server groups that it uses, and no others', async () => {
    const { volumes, images, keyPairs, serverGroups } = await read();
    expect(volumes).toEqual([
      {
        ...{ id: DATA, name: 'data', size: 10 * GIB, type: 'fast', bootable: false, encrypted: false },
        ...{ multiattach: false, availabilityZone: 'nova', metadata: { purpose: 'data' }, imageMetadata: {} },
      },
      expect.objectContaining({
        ...{ id: BOOT, name: '', bootable: true },
        imageMetadata: { image_id: 'image-1', min_ram: '512', hw_disk_bus: 'virtio' },
      }),
    ]);
    expect(images).toEqual([
      {
        ...{ id: 'image-1', name: 'debian-12', diskFormat: 'qcow2', containerFormat: 'bare', size: 400_000_000 },
        ...{ checksum: 'abc', minDiskGiB: 2, minRamMiB: 512, visibility: 'public' },
        properties: { hw_qemu_guest_agent: 'yes' },
      },
    ]);
    expect(keyPairs).toEqual([{ name: 'ops', type: 'ssh', publicKey: 'ssh-ed25519 AAAA', fingerprint: '00:11' }]);
    expect(serverGroups).toEqual([{ id: 'group-1', name: 'apart', policy: 'anti-affinity', servers: [WEB] }]);
  });

  test('has its ports, and all that they hang on', async () => {
    const { ports, networks, subnets, routers, securityGroups } = await read();
    expect(ports).toEqual([
      {
        ...{ id: 'port-1', name: '', server: WEB, network: 'network-1', mac: 'fa:16:3e:00:00:05', adminUp: true },
        fixedIps: [{ subnet: 'subnet-1', address: '10.0.0.5' }],
        floatingIps: [{ id: 'float-1', address: '203.0.113.9', network: 'network-9', fixedAddress: '10.0.0.5' }],
        ...{ securityGroups: ['security-1'], portSecurity: true, vnicType: 'normal' },
        allowedPairs: [{ address: '10.0.0.100', mac: 'fa:16:3e:00:00:05' }],
      },
    ]);
    expect(networks).toEqual([
      {
        ...{ id: 'network-1', name: 'inner', mtu: 1450, adminUp: true, shared: false, external: false, own: true },
        portSecurity: true,
      },
      expect.objectContaining({ id: 'network-9', name: 'public', external: true, own: false }),
    ]);
    expect(subnets).toEqual([
      {
        ...{ id: 'subnet-1', name: 'inner-4', network: 'network-1', ipVersion: 4, cidr: '10.0.0.0/24', dhcp: true },
        ...{ gateway: '10.0.0.1', pools: [{ start: '10.0.0.2', end: '10.0.0.254' }], nameservers: ['192.0.2.53'] },
        routes: [{ destination: '192.168.0.0/16', nextHop: '10.0.0.254' }],
      },
    ]);
    expect(routers).toEqual([
      {
        ...{ id: 'router-1', name: 'edge', adminUp: true, externalNetwork: 'network-9', sourceNat: true, routes: [] },
        externalIps: [{ subnet: 'subnet-9', address: '203.0.113.2' }],
        interfaces: [{ port: 'port-9', network: 'network-1', subnet: 'subnet-1', address: '10.0.0.1' }],
      },
    ]);
    expect(securityGroups.map(({ name }) => name)).toEqual(['web', 'inside']);
    expect(securityGroups[0]?.rules).toEqual([
      {
        ...{ id: 'rule-1', direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', portMin: 443, portMax: 443 },
        remoteCidr: '0.0.0.0/0',
      },
      { id: 'rule-2', direction: 'ingress', ethertype: 'IPv4', remoteGroup: 'security-2' },
    ]);
  });

  test('has its stack with what is nested in it, and no hidden value, however Heat shows it', async () => {
    const topology = await read();
    expect(topology.stack).toMatchObject({
      ...{ id: 'id-of-shop', name: 'shop', description: 'A shop', tags: ['a'] },
      parameters: { password: '******', flavor: 'm1.small', count: '3' },
      files: { 'file:///run.sh': '#!/bin/sh\n' },
    });
    expect(JSON.parse(topology.stack?.environment ?? '')).toEqual({
      ...{ parameters: { password: '******', flavor: 'm1.small' }, parameter_defaults: { pin: '******', size: 1 } },
      resource_registry: {},
    });
    expect(topology.stack?.resources).toEqual([
      {
        ...{ name: 'group', path: [], type: 'OS::Heat::ResourceGroup', id: 'id-of-group', status: 'CREATE_COMPLETE' },
      },
      { name: '0', path: ['group'], type: 'shop.yaml', id: 'id-of-0', status: 'CREATE_COMPLETE' },
      { name: 'server', path: ['group', '0'], type: 'OS::Nova::Server', id: WEB, status: 'CREATE_COMPLETE' },
      { name: 'vault', path: [], type: 'OS::Swift::Container', status: 'CREATE_COMPLETE' },
    ]);
    expect(JSON.stringify(topology)).not.toContain(SECRET);
  });

  test('masks every value of an environment with a template that cannot be understood', async () => {
    const cloud = saidCloud();
    cloud[`heat /${PROJECT}/stacks/shop/id-of-shop/files`] = { 'file:///odd.yaml': 'parameters: {x: {hidden: true}' };
    const { stack } = await read(cloud);
    expect(JSON.parse(stack?.environment ?? '')).toMatchObject({
      ...{ parameters: { flavor: '******' }, parameter_defaults: { pin: '******', size: '******' } },
    });
  });

  test('says what is not backed up, and that user data is not shown', async () => {
    const warnings = [
      { code: 'unprotected-volume', server: WEB, volume: DATA, message: 'It is left out.' } as const,
      { code: 'no-exporter', server: 'gone', message: 'No exporter.' } as const,
    ];
    expect(unprotectedIn(MEMBERS, warnings)).toEqual([
      { server: WEB, name: 'web-1', volume: DATA, why: 'It is left out.' },
      { server: 'gone', name: 'gone', why: 'No exporter.' },
    ]);
    expect(partsOf(await read())).toEqual(['servers.userData']);
  });

  test('has disks that the run leaves out, as far as the cloud knows them', async () => {
    const bare = MEMBERS.map((member) => ({ ...member, disks: [] }));
    const { servers } = await read(saidCloud(), { members: bare });
    expect(servers.map(({ disks }) => disks)).toEqual([
      [
        { name: `${WEB}/root`, size: 20 * GIB, bootIndex: 0, wanted: false },
        {
          ...{ name: `${WEB}/${DATA}`, volume: DATA, size: 10 * GIB, device: '/dev/vdb', wanted: false },
          deleteOnTermination: false,
        },
      ],
      [
        {
          ...{ name: `${DB}/${BOOT}`, volume: BOOT, size: 20 * GIB, device: '/dev/vda', bootIndex: 0, wanted: false },
          deleteOnTermination: true,
        },
      ],
    ]);
  });

  test('comes back from its bytes as it is', async () => {
    const topology = await read();
    expect(decodeTopology(encodeTopology(topology), 'It')).toEqual(topology);
  });

  test('takes few requests, and of a large group lists instead of one request an object', async () => {
    await read();
    expect(fake?.requests.length).toBeLessThan(25);
    const ids = Array.from({ length: 200 }, (_, i) => `${String(i).padStart(8, '0')}-1111-4111-8111-111111111111`);
    const cloud = saidCloud();
    const shown = (cloud[`nova /servers/${WEB}`] as { server: object }).server;
    cloud['nova /servers/detail'] = { servers: ids.map((id) => ({ ...shown, id })) };
    await fake?.close();
    const members = ids.map((server) => ({ ...MEMBERS[0], server, volumes: [], disks: [] }) as unknown as MemberServer);
    const topology = await read(cloud, { members });
    expect(topology.servers.map(({ id }) => id)).toEqual(ids);
    expect(fake?.requests.length).toBeLessThan(25);
    for (const { path, query } of fake?.requests ?? []) expect(`${path}?${query}`.length).toBeLessThan(4000);
  });
});

describe('what cannot be read is left out and named:', () => {
  const failing = (place: string, status: number) =>
    Object.fromEntries(Object.entries(saidCloud()).map(([key, body]) => [key, key.startsWith(place) ? status : body]));

  test.each<[string, string, number, readonly string[]]>([
    ['Nova', 'nova /servers', 403, ['servers']],
    ['the key pairs', 'nova /os-keypairs', 403, ['keyPairs', 'servers.userData']],
    ['Cinder', 'cinder', 503, ['servers.userData', 'volumes']],
    [
      ...(['Neutron', 'neutron', 401] as const),
      ['networks', 'ports', 'routers', 'securityGroups', 'servers.userData', 'subnets'],
    ],
    ['floating addresses', 'neutron /v2.0/floatingips', 500, ['ports.floatingIps', 'servers.userData']],
    ['Glance', 'glance', 500, ['images', 'servers.userData']],
    ['a template', `heat /${PROJECT}/stacks/shop/id-of-shop/template`, 403, ['servers.userData', 'stack.template']],
    ['volumes that are gone', 'cinder', 404, ['servers.userData', `volumes.${DATA}`, `volumes.${BOOT}`]],
    ['an image that is gone', 'glance', 404, ['images.image-1', 'servers.userData']],
    ['servers that are gone', 'nova /servers', 404, [`servers.${WEB}`, `servers.${DB}`]],
  ])('%s', async (_, place, status, parts) => {
    const topology = await read(failing(place, status));
    expect(partsOf(topology)).toEqual(parts);
    expect(topology.omitted.every(({ why }) => why.length > 10)).toBe(true);
    expect(topology.readAt).toBe(NOW.toISOString());
  });

  test.each(['cinder', 'neutron', 'glance', 'heat'])('%s, where the settings do not name it', async (without) => {
    const topology = await read(saidCloud(), { without });
    const words = topology.omitted.map(({ why }) => why.toLowerCase()).join();
    expect(words).toContain(`the settings of this ekko name no ${without}`);
  });

  test('the key pair of another user', async () => {
    const topology = await read({ ...saidCloud(), 'nova /os-keypairs': { keypairs: [] } });
    expect(partsOf(topology)).toEqual(['keyPairs.ops', 'servers.userData']);
  });

  test('a service that says nonsense', async () => {
    const nonsense = [null, 5, 'text', [], [[]], { servers: 5, ports: {}, images: [null, 7], resources: 'x' }];
    for (const body of nonsense) {
      const topology = await read(
        Object.fromEntries(
          Object.keys(saidCloud()).map((key) => [
            key,
            {
              ...saidCloud(),
              x: body,
              servers: body,
              server: body,
              ports: body,
              volumes: body,
              volume: body,
              images: body,
              stack: body,
            },
          ]),
        ),
      );
      expect(decodeTopology(encodeTopology(topology), 'It')).toEqual(topology);
      await fake?.close();
    }
  });

  test('a service that does not answer, within the time that there is', async () => {
    fake = undefined;
    const cloud = saidCloud();
    const { openHttpFake } = await import('../http-fake.ts');
    const { answerOf } = await import('./said-cloud.ts');
    const hanging = await openHttpFake((request) =>
      request.path.startsWith('/neutron') ? new Promise<never>(() => undefined) : answerOf(cloud, request),
    );
    const endpoints = Object.fromEntries(
      ['nova', 'cinder', 'neutron', 'glance'].map((service) => [service, `${hanging.url}/${service}`]),
    ) as unknown as Parameters<typeof findTopology>[0];
    const began = performance.now();
    const found = await findTopology(endpoints, CALLER, { servers: MEMBERS, stack: undefined }, NOW, 400);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(found.servers).toHaveLength(2);
    expect(
      found.rest.omitted.filter(({ why }) => why === 'It took too long to read it.').map(({ part }) => part),
    ).toContain('ports');
    await hanging.close();
  });
});

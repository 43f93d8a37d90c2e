import { hostIdOf } from '../../../../functions/catalog/cloud/servers.ts';
import { type FakeAnswer, type FakeRequest, type HttpFake, openHttpFake } from '../http-fake.ts';

/** What a cloud of one application answers, service by service, as the real ones were seen to. Tests change it. */
export type SaidCloud = Record<string, unknown>;

export const WEB = '11111111-1111-4111-8111-111111111111';
export const DB = '22222222-2222-4222-8222-222222222222';
export const DATA = '33333333-3333-4333-8333-333333333333';
export const BOOT = '44444444-4444-4444-8444-444444444444';
export const PROJECT = 'a';

const server = {
  ...{
    id: WEB,
    name: 'web-1',
    status: 'ACTIVE',
    description: null,
    'OS-EXT-AZ:availability_zone': 'nova',
    locked: false,
  },
  ...{
    key_name: 'ops',
    config_drive: '',
    metadata: { role: 'web' },
    tags: ['backup'],
    hostId: hostIdOf(PROJECT, 'c1'),
    tenant_id: PROJECT,
  },
  image: { id: 'image-1', links: [{ rel: 'bookmark', href: 'http://nova/images/image-1' }] },
  flavor: {
    ...{ vcpus: 1, ram: 2048, disk: 20, ephemeral: 0, swap: 0, original_name: 'm1.small' },
    extra_specs: { 'hw:cpu_policy': 'shared' },
  },
  addresses: {
    inner: [
      {
        ...{ version: 4, addr: '10.0.0.5', 'OS-EXT-IPS:type': 'fixed', 'OS-EXT-IPS-MAC:mac_addr': 'fa:16:3e:00:00:05' },
      },
      {
        version: 4,
        addr: '203.0.113.9',
        'OS-EXT-IPS:type': 'floating',
        'OS-EXT-IPS-MAC:mac_addr': 'fa:16:3e:00:00:05',
      },
    ],
  },
  security_groups: [{ name: 'web' }, { name: 'web' }],
  'os-extended-volumes:volumes_attached': [{ id: DATA, delete_on_termination: false }],
};
/** Booted from a volume. */
const database = {
  ...server,
  ...{ id: DB, name: 'db-1', image: '', config_drive: 'True', key_name: null, tags: [], metadata: {}, addresses: {} },
  'os-extended-volumes:volumes_attached': [{ id: BOOT, delete_on_termination: true }],
};
const volume = {
  ...{ id: DATA, name: 'data', description: null, size: 10, status: 'in-use', volume_type: 'fast', bootable: 'false' },
  ...{
    encrypted: false,
    multiattach: false,
    availability_zone: 'nova',
    metadata: { purpose: 'data' },
    snapshot_id: null,
  },
  attachments: [{ server_id: WEB, device: '/dev/vdb', volume_id: DATA, attachment_id: 'x' }],
};
const bootVolume = {
  ...volume,
  ...{ id: BOOT, name: '', size: 20, bootable: 'true', metadata: {} },
  volume_image_metadata: { image_id: 'image-1', min_ram: '512', hw_disk_bus: 'virtio' },
  attachments: [{ server_id: DB, device: '/dev/vda', volume_id: BOOT }],
};
const port = {
  ...{ id: 'port-1', name: '', device_id: WEB, device_owner: 'compute:nova', network_id: 'network-1' },
  ...{ mac_address: 'fa:16:3e:00:00:05', fixed_ips: [{ subnet_id: 'subnet-1', ip_address: '10.0.0.5' }] },
  ...{
    security_groups: ['security-1'],
    port_security_enabled: true,
    'binding:vnic_type': 'normal',
    admin_state_up: true,
  },
  allowed_address_pairs: [{ ip_address: '10.0.0.100', mac_address: 'fa:16:3e:00:00:05' }],
};
const network = {
  ...{ id: 'network-1', name: 'inner', project_id: PROJECT, tenant_id: PROJECT, mtu: 1450, admin_state_up: true },
  ...{ shared: false, 'router:external': false, port_security_enabled: true, description: '' },
};
const outerNetwork = {
  ...network,
  ...{ id: 'network-9', name: 'public', project_id: 'admin', tenant_id: 'admin', 'router:external': true },
};

/** By `<service> <path>`; where a query matters it belongs to the path. */
export function saidCloud(): SaidCloud {
  return {
    [`nova /servers/${WEB}`]: { server },
    [`nova /servers/${DB}`]: { server: database },
    'nova /flavors/detail': { flavors: [{ id: '2', name: 'm1.small', vcpus: 1, ram: 2048, disk: 20 }] },
    'nova /os-keypairs': {
      keypairs: [
        { keypair: { name: 'ops', type: 'ssh', public_key: 'ssh-ed25519 AAAA', fingerprint: '00:11' } },
        { keypair: { name: 'unused', type: 'ssh', public_key: 'ssh-ed25519 BBBB', fingerprint: '22:33' } },
      ],
    },
    'nova /os-server-groups': {
      server_groups: [
        { id: 'group-1', name: 'apart', policy: 'anti-affinity', members: [WEB, 'another'], metadata: {} },
        { id: 'group-2', name: 'others', policy: 'affinity', members: ['another'] },
      ],
    },
    [`cinder /volumes/${DATA}`]: { volume },
    [`cinder /volumes/${BOOT}`]: { volume: bootVolume },
    [`neutron /v2.0/ports?device_id=${WEB}`]: { ports: [port] },
    'neutron /v2.0/ports?device_owner=network:router_interface': {
      ports: [
        {
          ...{ id: 'port-9', device_id: 'router-1', network_id: 'network-1', mac_address: 'fa:16:3e:00:00:09' },
          fixed_ips: [{ subnet_id: 'subnet-1', ip_address: '10.0.0.1' }],
        },
      ],
    },
    'neutron /v2.0/networks?id=network-1': { networks: [network] },
    'neutron /v2.0/networks?id=network-9': { networks: [outerNetwork] },
    'neutron /v2.0/subnets': {
      subnets: [
        {
          ...{ id: 'subnet-1', name: 'inner-4', network_id: 'network-1', ip_version: 4, cidr: '10.0.0.0/24' },
          ...{ gateway_ip: '10.0.0.1', enable_dhcp: true, dns_nameservers: ['192.0.2.53'], ipv6_ra_mode: null },
          allocation_pools: [{ start: '10.0.0.2', end: '10.0.0.254' }],
          host_routes: [{ destination: '192.168.0.0/16', nexthop: '10.0.0.254' }],
        },
      ],
    },
    'neutron /v2.0/routers': {
      routers: [
        {
          ...{ id: 'router-1', name: 'edge', admin_state_up: true, routes: [] },
          external_gateway_info: {
            ...{ network_id: 'network-9', enable_snat: true },
            external_fixed_ips: [{ subnet_id: 'subnet-9', ip_address: '203.0.113.2' }],
          },
        },
      ],
    },
    'neutron /v2.0/floatingips': {
      floatingips: [
        {
          ...{ id: 'float-1', floating_ip_address: '203.0.113.9', fixed_ip_address: '10.0.0.5', port_id: 'port-1' },
          floating_network_id: 'network-9',
        },
      ],
    },
    'neutron /v2.0/security-groups?id=security-1': {
      security_groups: [
        {
          ...{ id: 'security-1', name: 'web', description: 'from outside', stateful: true },
          security_group_rules: [
            {
              ...{ id: 'rule-1', direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', port_range_min: 443 },
              ...{ port_range_max: 443, remote_ip_prefix: '0.0.0.0/0', remote_group_id: null },
            },
            {
              ...{ id: 'rule-2', direction: 'ingress', ethertype: 'IPv4', protocol: null, port_range_min: null },
              ...{ port_range_max: null, remote_ip_prefix: null, remote_group_id: 'security-2' },
            },
          ],
        },
      ],
    },
    'neutron /v2.0/security-groups?id=security-2': {
      security_groups: [{ id: 'security-2', name: 'inside', description: '', security_group_rules: [] }],
    },
    'glance /v2/images': {
      images: [
        {
          ...{ id: 'image-1', name: 'debian-12', disk_format: 'qcow2', container_format: 'bare', size: 400_000_000 },
          ...{ checksum: 'abc', min_disk: 2, min_ram: 512, visibility: 'public', hw_qemu_guest_agent: 'yes' },
          ...{ status: 'active', owner: 'admin', tags: [], file: '/v2/images/image-1/file', os_hidden: false },
        },
      ],
    },
    ...saidStack(),
  };
}

function saidStack(): SaidCloud {
  const place = `heat /${PROJECT}/stacks/shop/id-of-shop`;
  const href = (id: string) => `http://heat/v1/${PROJECT}/stacks/x/${id}`;
  const resource = (name: string, type: string, id: string, stack: string, more: object[] = []) => ({
    ...{ resource_name: name, resource_type: type, physical_resource_id: id, resource_status: 'CREATE_COMPLETE' },
    links: [{ rel: 'self', href: `${href(stack)}/resources/${name}` }, { rel: 'stack', href: href(stack) }, ...more],
  });
  const template = {
    heat_template_version: '2021-04-16',
    parameters: { password: { type: 'string', hidden: true }, flavor: { type: 'string' } },
  };
  const nested = 'heat_template_version: 2021-04-16\nparameters:\n  pin: {type: string, hidden: true}\n';
  return {
    [place]: {
      stack: {
        ...{ id: 'id-of-shop', stack_name: 'shop', description: 'A shop', tags: ['a'] },
        parameters: { password: '******', flavor: 'm1.small', count: 3 },
      },
    },
    [`${place}/template`]: template,
    [`${place}/environment`]: {
      ...{ parameters: { password: SECRET, flavor: 'm1.small' }, parameter_defaults: { pin: SECRET, size: 1 } },
      resource_registry: {},
    },
    [`${place}/files`]: { 'file:///pin.yaml': nested, 'file:///run.sh': '#!/bin/sh\n' },
    [`${place}/resources`]: {
      resources: [
        resource('group', 'OS::Heat::ResourceGroup', 'id-of-group', 'id-of-shop', [
          { rel: 'nested', href: href('id-of-group') },
        ]),
        resource('0', 'shop.yaml', 'id-of-0', 'id-of-group', [{ rel: 'nested', href: href('id-of-0') }]),
        resource('server', 'OS::Nova::Server', WEB, 'id-of-0'),
        resource('vault', 'OS::Swift::Container', '', 'id-of-shop'),
      ],
    },
  };
}

/** What must be seen nowhere. */
export const SECRET = 'correct horse battery staple';

/** What a request is answered: the most exact of `<service> <path>?<beginning of the query>` and `<service> <path>`. */
export function answerOf(cloud: SaidCloud, { path, query }: FakeRequest): FakeAnswer {
  const [, service = '', ...rest] = path.split('/');
  const place = `${service} /${rest.join('/')}`;
  const asked = `${place}?${decodeURIComponent(query.toString())}`;
  const found = Object.keys(cloud)
    .filter((key) => key === place || (key.startsWith(`${place}?`) && asked.startsWith(key)))
    .sort((a, b) => b.length - a.length)[0];
  if (found === undefined) return { status: 404, body: { message: 'not found' } };
  const body = cloud[found];
  if (typeof body === 'number') return { status: body, body: { error: { message: 'no' } } };
  return { status: 200, body };
}

export function openSaidCloud(cloud: SaidCloud): Promise<HttpFake> {
  return openHttpFake((request) => {
    const { path } = request;
    if (path === `/heat/${PROJECT}/stacks/shop`)
      return { status: 302, headers: { location: `http://elsewhere:8004/v1/${PROJECT}/stacks/shop/id-of-shop` } };
    return answerOf(cloud, request);
  });
}

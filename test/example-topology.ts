import { EMPTY_TOPOLOGY, type Topology, type TopologyServer, type TopologyVolume } from '#vault/format/topology.ts';

const GIB = 1024 ** 3;

/** A server that was booted from an image, with a data volume and a port on the network of `exampleTopology`. */
export function exampleServer(id: string, name: string): TopologyServer {
  return {
    ...{ id, name, status: 'ACTIVE', hostname: name, configDrive: false, availabilityZone: 'nova', keyName: 'ops' },
    flavor: {
      ...{ id: '2', name: 'm1.small', vcpus: 1, ramMiB: 2048, diskGiB: 20, ephemeralGiB: 0, swapMiB: 0 },
      extraSpecs: { 'hw:cpu_policy': 'shared' },
    },
    image: { id: 'image-1', name: 'debian-12' },
    metadata: { role: 'web' },
    tags: ['backup'],
    addresses: [
      { network: 'inner', address: '10.0.0.5', kind: 'fixed', mac: 'fa:16:3e:00:00:05' },
      { network: 'inner', address: '203.0.113.9', kind: 'floating', mac: 'fa:16:3e:00:00:05' },
    ],
    securityGroups: ['web'],
    serverGroup: 'group-1',
    userData: Buffer.from('#cloud-config\n').toString('base64'),
    disks: [
      { name: `${id}/root`, size: 20 * GIB, device: '/dev/vda', bootIndex: 0, wanted: true },
      {
        ...{ name: `${id}/volume-${id}`, size: 10 * GIB, volume: `volume-${id}`, device: '/dev/vdb' },
        ...{ deleteOnTermination: false, wanted: true },
      },
    ],
  };
}

export function exampleVolume(id: string, name: string, size = 10 * GIB): TopologyVolume {
  return {
    ...{ id, name, size, type: 'fast', bootable: false, encrypted: false, multiattach: false },
    ...{ availabilityZone: 'nova', metadata: { purpose: 'data' }, imageMetadata: {} },
  };
}

/** One of everything. */
export function exampleTopology(): Topology {
  return {
    ...EMPTY_TOPOLOGY,
    readAt: '2026-11-21T03:00:01.000Z',
    servers: [exampleServer('server-1', 'web-1')],
    ports: [
      {
        ...{ id: 'port-1', name: 'web-1-port', server: 'server-1', network: 'network-1', mac: 'fa:16:3e:00:00:05' },
        fixedIps: [{ subnet: 'subnet-1', address: '10.0.0.5' }],
        floatingIps: [{ id: 'float-1', address: '203.0.113.9', network: 'network-9', fixedAddress: '10.0.0.5' }],
        ...{ securityGroups: ['security-1'], portSecurity: true },
        allowedPairs: [{ address: '10.0.0.100', mac: 'fa:16:3e:00:00:05' }],
        ...{ vnicType: 'normal', adminUp: true },
      },
    ],
    networks: [
      {
        ...{ id: 'network-1', name: 'inner', mtu: 1450, adminUp: true, shared: false, external: false },
        ...{ portSecurity: true, own: true },
      },
      {
        ...{ id: 'network-9', name: 'public', mtu: 1500, adminUp: true, shared: false, external: true },
        ...{ portSecurity: true, own: false },
      },
    ],
    subnets: [
      {
        ...{ id: 'subnet-1', name: 'inner-4', network: 'network-1', ipVersion: 4, cidr: '10.0.0.0/24', dhcp: true },
        ...{ gateway: '10.0.0.1', pools: [{ start: '10.0.0.2', end: '10.0.0.254' }], nameservers: ['192.0.2.53'] },
        routes: [{ destination: '192.168.0.0/16', nextHop: '10.0.0.254' }],
      },
    ],
    routers: [
      {
        ...{ id: 'router-1', name: 'edge', adminUp: true, externalNetwork: 'network-9', sourceNat: true, routes: [] },
        externalIps: [{ subnet: 'subnet-9', address: '203.0.113.2' }],
        interfaces: [{ port: 'port-9', network: 'network-1', subnet: 'subnet-1', address: '10.0.0.1' }],
      },
    ],
    securityGroups: [
      {
        ...{ id: 'security-1', name: 'web', description: 'from outside', stateful: true },
        rules: [
          {
            ...{ id: 'rule-1', direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', portMin: 80, portMax: 80 },
            remoteCidr: '0.0.0.0/0',
          },
        ],
      },
    ],
    keyPairs: [{ name: 'ops', type: 'ssh', publicKey: 'ssh-ed25519 AAAA', fingerprint: '00:11' }],
    volumes: [exampleVolume('volume-server-1', 'data')],
    serverGroups: [{ id: 'group-1', name: 'apart', policy: 'anti-affinity', servers: ['server-1'] }],
    images: [
      {
        ...{ id: 'image-1', name: 'debian-12', diskFormat: 'qcow2', containerFormat: 'bare', size: 400_000_000 },
        ...{ checksum: '0'.repeat(32), minDiskGiB: 2, minRamMiB: 512, visibility: 'public' },
        properties: { hw_qemu_guest_agent: 'yes' },
      },
    ],
    stack: {
      ...{ id: 'stack-1', name: 'shop', template: '{"heat_template_version": "2018-08-31"}', tags: [] },
      ...{ parameters: { flavor: 'm1.small', password: '******' }, environment: '{}', files: {} },
      resources: [{ name: 'web', path: [], type: 'OS::Nova::Server', id: 'server-1', status: 'CREATE_COMPLETE' }],
    },
    unprotected: [{ server: 'server-7', name: 'db-1', why: 'No exporter is registered for the host that it runs on.' }],
    omitted: [{ part: 'servers.userData', why: 'Nova shows it to administrators only.' }],
  };
}

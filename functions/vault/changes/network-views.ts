import type { Topology } from '../format/topology.ts';
import type { Route, TopologyRule } from '../format/topology-network.ts';
import type { ListedView, Names } from './compare-lists.ts';

/** Ports of servers, and what they hang on. */
export function networkViews(
  { ports, networks, subnets, routers, securityGroups }: Topology,
  names: Names,
): ListedView[] {
  const called = (id: string) => names.get(id) ?? id;
  const object = (id: string) => ({ id, called: called(id) });
  return [
    {
      ...{ part: 'ports', kind: 'port' },
      objects: ports.map((port) => ({
        id: port.id,
        name: `${port.name === '' ? port.mac : port.name}${port.server === undefined ? '' : ` of ${called(port.server)}`}`,
        fields: {
          ...{
            name: port.name,
            network: object(port.network),
            server: port.server === undefined ? undefined : object(port.server),
            'MAC address': port.mac,
          },
          ...{ 'port security': port.portSecurity, kind: port.vnicType, up: port.adminUp },
        },
        sets: {
          address: port.fixedIps.map(({ address, subnet }) => `${address} in ${called(subnet)}`),
          'floating address': port.floatingIps.map(({ id: _id, address, network, fixedAddress = 'no address' }) =>
            [address, 'of', called(network), 'to', fixedAddress].join(' '),
          ),
          'security group': port.securityGroups.map(called),
          'allowed pair': port.allowedPairs.map(({ address, mac = 'any' }) => `${address} ${mac}`),
        },
      })),
    },
    {
      ...{ part: 'networks', kind: 'network' },
      objects: networks.map(({ id, name, own: _own, ...network }) => ({
        ...{ id, name },
        fields: {
          ...{ name, description: network.description, MTU: network.mtu, up: network.adminUp, shared: network.shared },
          ...{ external: network.external, 'port security': network.portSecurity, 'DNS domain': network.dnsDomain },
        },
        sets: {},
      })),
    },
    {
      ...{ part: 'subnets', kind: 'subnet' },
      objects: subnets.map(({ id, name, ...subnet }) => ({
        ...{ id, name },
        fields: {
          ...{ name, network: object(subnet.network), 'IP version': subnet.ipVersion, range: subnet.cidr },
          ...{ gateway: subnet.gateway, DHCP: subnet.dhcp },
          ...{ 'IPv6 address mode': subnet.ipv6AddressMode, 'IPv6 RA mode': subnet.ipv6RaMode },
        },
        sets: {
          pool: subnet.pools.map(({ start, end }) => `${start} to ${end}`),
          'name server': subnet.nameservers,
          route: subnet.routes.map(routeWords),
        },
      })),
    },
    {
      ...{ part: 'routers', kind: 'router' },
      objects: routers.map(({ id, name, ...router }) => ({
        ...{ id, name },
        fields: {
          ...{ name, up: router.adminUp, 'source NAT': router.sourceNat },
          'external network': router.externalNetwork === undefined ? undefined : object(router.externalNetwork),
        },
        sets: {
          'external address': router.externalIps.map(({ address, subnet }) => `${address} in ${called(subnet)}`),
          route: router.routes.map(routeWords),
          interface: router.interfaces.map(
            ({ network, subnet, address }) => `${address} in ${called(subnet)} of ${called(network)}`,
          ),
        },
      })),
    },
    {
      ...{ part: 'securityGroups', kind: 'security group' },
      objects: securityGroups.map(({ id, name, description, stateful, rules }) => ({
        ...{ id, name, fields: { name, description, stateful } },
        sets: { rule: rules.map((rule) => ruleWords(rule, called)) },
      })),
    },
  ];
}

function routeWords({ destination, nextHop }: Route): string {
  return `${destination} by ${nextHop}`;
}

/** `ingress IPv4 tcp 443 from 0.0.0.0/0`. A rule is what it says: one that was made again is the same. */
function ruleWords({ id: _id, ...rule }: TopologyRule, called: (id: string) => string): string {
  const { direction, ethertype, protocol = 'any', portMin, portMax, remoteCidr, remoteGroup, description } = rule;
  const ports = portMin === portMax ? portMin : `${portMin ?? ''}-${portMax ?? ''}`;
  const peer = [
    ...(remoteCidr === undefined ? [] : [remoteCidr]),
    ...(remoteGroup === undefined ? [] : [`group ${called(remoteGroup)}`]),
  ];
  return [
    ...[direction, ethertype, protocol],
    ...(ports === undefined ? [] : [ports]),
    ...(peer.length === 0 ? [] : [direction === 'ingress' ? 'from' : 'to', ...peer]),
    ...(description === undefined ? [] : [`(${description})`]),
  ].join(' ');
}

import type {
  FixedIp,
  FloatingIp,
  Route,
  RouterInterface,
  TopologyNetwork,
  TopologyPort,
  TopologyRouter,
  TopologyRule,
  TopologySecurityGroup,
  TopologySubnet,
} from '#vault/format/topology-network.ts';
import { allSaid, countAs, countIn, flagIn, type Said, said, textAs, textIn, textsIn } from './said.ts';

/** Objects of a topology from what Neutron says of them. */
export type FoundPort = Omit<TopologyPort, 'floatingIps'>;

export function portOf(port: Said): FoundPort {
  return {
    ...{ id: textIn(port, 'id'), name: textIn(port, 'name') },
    ...textAs('server', port, 'device_id'),
    ...{ network: textIn(port, 'network_id'), mac: textIn(port, 'mac_address') },
    fixedIps: fixedIpsOf(port['fixed_ips']),
    securityGroups: textsIn(port, 'security_groups'),
    portSecurity: flagIn(port, 'port_security_enabled', true),
    allowedPairs: allSaid(port['allowed_address_pairs']).map((pair) => ({
      address: textIn(pair, 'ip_address'),
      ...textAs('mac', pair, 'mac_address'),
    })),
    ...textAs('vnicType', port, 'binding:vnic_type'),
    adminUp: flagIn(port, 'admin_state_up', true),
  };
}

export function fixedIpsOf(list: unknown): FixedIp[] {
  return allSaid(list).map((ip) => ({ subnet: textIn(ip, 'subnet_id'), address: textIn(ip, 'ip_address') }));
}

export function floatingIpOf(ip: Said): FloatingIp {
  return {
    ...{ id: textIn(ip, 'id'), address: textIn(ip, 'floating_ip_address') },
    network: textIn(ip, 'floating_network_id'),
    ...textAs('fixedAddress', ip, 'fixed_ip_address'),
  };
}

export function networkOf(network: Said, project: string): TopologyNetwork {
  return {
    ...{ id: textIn(network, 'id'), name: textIn(network, 'name') },
    ...textAs('description', network, 'description'),
    ...countAs('mtu', network, 'mtu'),
    adminUp: flagIn(network, 'admin_state_up', true),
    ...{ shared: flagIn(network, 'shared'), external: flagIn(network, 'router:external') },
    portSecurity: flagIn(network, 'port_security_enabled', true),
    ...textAs('dnsDomain', network, 'dns_domain'),
    own: (textIn(network, 'project_id') || textIn(network, 'tenant_id')) === project,
  };
}

export function subnetOf(subnet: Said): TopologySubnet {
  return {
    ...{ id: textIn(subnet, 'id'), name: textIn(subnet, 'name'), network: textIn(subnet, 'network_id') },
    ...{ ipVersion: countIn(subnet, 'ip_version'), cidr: textIn(subnet, 'cidr') },
    ...textAs('gateway', subnet, 'gateway_ip'),
    dhcp: flagIn(subnet, 'enable_dhcp'),
    pools: allSaid(subnet['allocation_pools']).map((pool) => ({
      start: textIn(pool, 'start'),
      end: textIn(pool, 'end'),
    })),
    nameservers: textsIn(subnet, 'dns_nameservers'),
    routes: routesOf(subnet['host_routes']),
    ...textAs('ipv6AddressMode', subnet, 'ipv6_address_mode'),
    ...textAs('ipv6RaMode', subnet, 'ipv6_ra_mode'),
  };
}

function routesOf(list: unknown): Route[] {
  return allSaid(list).map((route) => ({
    destination: textIn(route, 'destination'),
    nextHop: textIn(route, 'nexthop'),
  }));
}

export function routerOf(router: Said, interfaces: readonly RouterInterface[]): TopologyRouter {
  const outer = said(router['external_gateway_info']);
  return {
    ...{ id: textIn(router, 'id'), name: textIn(router, 'name'), adminUp: flagIn(router, 'admin_state_up', true) },
    ...textAs('externalNetwork', outer, 'network_id'),
    ...(outer['enable_snat'] === undefined ? {} : { sourceNat: flagIn(outer, 'enable_snat') }),
    externalIps: fixedIpsOf(outer['external_fixed_ips']),
    routes: routesOf(router['routes']),
    interfaces,
  };
}

export function securityGroupOf(group: Said): TopologySecurityGroup {
  return {
    ...{ id: textIn(group, 'id'), name: textIn(group, 'name'), description: textIn(group, 'description') },
    ...(group['stateful'] === undefined ? {} : { stateful: flagIn(group, 'stateful') }),
    rules: allSaid(group['security_group_rules']).map(ruleOf),
  };
}

function ruleOf(rule: Said): TopologyRule {
  return {
    ...{ id: textIn(rule, 'id'), direction: rule['direction'] === 'egress' ? 'egress' : 'ingress' },
    ethertype: textIn(rule, 'ethertype') || 'IPv4',
    ...textAs('protocol', rule, 'protocol'),
    ...countAs('portMin', rule, 'port_range_min'),
    ...countAs('portMax', rule, 'port_range_max'),
    ...textAs('remoteCidr', rule, 'remote_ip_prefix'),
    ...textAs('remoteGroup', rule, 'remote_group_id'),
    ...textAs('description', rule, 'description'),
  };
}

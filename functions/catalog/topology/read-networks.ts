import type { FixedIp, RouterInterface, TopologyPort, TopologyRouter } from '#vault/format/topology-network.ts';
import {
  type FoundPort,
  fixedIpsOf,
  floatingIpOf,
  networkOf,
  portOf,
  routerOf,
  securityGroupOf,
  subnetOf,
} from './network-objects.ts';
import type { Questions } from './questions.ts';
import { allSaid, type Said, textIn } from './said.ts';

const PARTS = ['ports', 'networks', 'subnets', 'routers', 'securityGroups'] as const;
const ROUTER_OWNERS = ['router_interface', 'router_interface_distributed', 'ha_router_replicated_interface']
  .map((owner) => `device_owner=network:${owner}`)
  .join('&');

export type FoundNetworks = Awaited<ReturnType<typeof readAll>>;

/** The ports of servers, and all that they hang on, as far as their owner may see it. Never throws. */
export function readNetworks(
  questions: Questions,
  project: string,
  servers: readonly string[],
): Promise<FoundNetworks> {
  const nothing: FoundNetworks = { ports: [], networks: [], subnets: [], routers: [], securityGroups: [] };
  return questions.attempt(PARTS, nothing, () => readAll(questions, project, servers));
}

async function readAll(questions: Questions, project: string, servers: readonly string[]) {
  const { attempt } = questions;
  const list = listsOf(questions);
  const ports = (await list('ports', 'device_id', servers)).map(portOf);
  const ids = unique(ports.map(({ network }) => network));
  const [networks, subnets, joints, groups, floating] = await Promise.all([
    attempt(['networks'], [], () => list('networks', 'id', ids)),
    attempt(['subnets'], [], () => list('subnets', 'network_id', ids)),
    attempt(['routers'], [], () => list(`ports?${ROUTER_OWNERS}`, 'network_id', ids)),
    attempt(['securityGroups'], [], () => readGroups(questions, ports)),
    attempt(['ports.floatingIps'], [], () =>
      list(
        'floatingips',
        'port_id',
        ports.map(({ id }) => id),
      ),
    ),
  ]);
  const routers = await attempt(['routers'], [], () =>
    list('routers', 'id', unique(joints.map((port) => textIn(port, 'device_id')))),
  );
  const joined = routers.map((router) => routerOf(router, interfacesOf(router, joints)));
  const outer = await attempt(['networks'], [], () => list('networks', 'id', outerOf(joined, ids)));
  return {
    ports: ports.map((port) => withFloating(port, floating)),
    networks: [...networks, ...outer].map((network) => networkOf(network, project)),
    subnets: subnets.map(subnetOf),
    routers: joined,
    securityGroups: groups.map(securityGroupOf),
  };
}

/** Lists of objects by a filter of theirs; of what the cloud has no extension for there is none. */
function listsOf({ askEach }: Questions) {
  return async (path: string, filter: string, values: readonly string[]): Promise<Said[]> => {
    const [kind = ''] = path.split('?');
    return askEach('neutron', `/v2.0/${path}`, filter, values, kind);
  };
}

/** The groups of the ports, and those that their rules name. */
async function readGroups({ askEach }: Questions, ports: readonly FoundPort[]): Promise<Said[]> {
  const read = (ids: readonly string[]) => askEach('neutron', '/v2.0/security-groups', 'id', ids, 'security_groups');
  const own = await read(unique(ports.flatMap(({ securityGroups }) => securityGroups)));
  const known = new Set(own.map((group) => textIn(group, 'id')));
  const named = own.flatMap((group) =>
    allSaid(group['security_group_rules']).map((rule) => textIn(rule, 'remote_group_id')),
  );
  return [...own, ...(await read(unique(named).filter((id) => !known.has(id))))];
}

function withFloating(port: FoundPort, floating: readonly Said[]): TopologyPort {
  return { ...port, floatingIps: floating.filter((each) => textIn(each, 'port_id') === port.id).map(floatingIpOf) };
}

function interfacesOf(router: Said, joints: readonly Said[]): RouterInterface[] {
  const own = joints.filter((port) => textIn(port, 'device_id') === textIn(router, 'id'));
  return own.flatMap((port) =>
    fixedIpsOf(port['fixed_ips']).map((ip: FixedIp) => ({
      ...{ port: textIn(port, 'id'), network: textIn(port, 'network_id') },
      ...ip,
    })),
  );
}

/** Networks that routers lead to, beside those that are known. */
function outerOf(routers: readonly TopologyRouter[], known: readonly string[]): string[] {
  return unique(routers.flatMap(({ externalNetwork }) => externalNetwork ?? [])).filter((id) => !known.includes(id));
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].filter((value) => value !== '');
}

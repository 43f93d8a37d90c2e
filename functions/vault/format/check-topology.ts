import { type Check, yesOrNo as flag, integer, listOf, oneOf, refuse } from './fields.ts';
import type * as T from './topology.ts';
import type * as N from './topology-network.ts';

interface Maybe<V> {
  readonly maybe: Check<V>;
}
/** A check for each field; for those that may be absent, a `Maybe`. */
type Shape<V> = {
  readonly [K in keyof V]-?: Record<string, never> extends Pick<V, K> ? Maybe<Exclude<V[K], undefined>> : Check<V[K]>;
};

const maybe = <V>(check: Check<V>): Maybe<V> => ({ maybe: check });

/** Of any length and with line ends: user data, templates. */
const text: Check<string> = (value, what) => {
  if (typeof value === 'string') return value;
  throw refuse(what, 'is not text');
};

const count = integer(Number.MAX_SAFE_INTEGER);

const number: Check<number> = (value, what) => {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw refuse(what, 'is not a number');
};

/** As long as the bytes of a topology let it be. */
const list = <V>(check: Check<V>): Check<readonly V[]> => listOf(check, Number.MAX_SAFE_INTEGER);

const texts = list(text);

const properties: Check<T.Properties> = (value, what) => {
  const entries = Object.entries(objectIn(value, what));
  return Object.fromEntries(entries.map(([name, each]) => [name, text(each, `A value of ${what}`)]));
};

/** Fields that are not known are passed over: what a newer Ekko says besides must not keep a point from being read. */
function object<V>(shape: Shape<V>): Check<V> {
  const fields = Object.entries<Check<unknown> | Maybe<unknown>>(shape);
  return (value, what) => {
    const found: Record<string, unknown> = objectIn(value, what);
    const entries = fields.flatMap(([name, check]) => {
      const field = `The field ${name} of ${what}`;
      if (typeof check === 'function') return [[name, check(found[name], field)]];
      return found[name] === undefined ? [] : [[name, check.maybe(found[name], field)]];
    });
    return Object.fromEntries(entries) as V;
  };
}

function objectIn(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw refuse(what, 'is not an object');
}

const flavor = object<T.TopologyFlavor>({
  ...{ id: maybe(text), name: text, vcpus: count, ramMiB: count, diskGiB: count, ephemeralGiB: count, swapMiB: count },
  extraSpecs: maybe(properties),
});

const disk = object<T.TopologyDisk>({
  ...{ name: text, size: maybe(count), volume: maybe(text), device: maybe(text), bootIndex: maybe(count) },
  ...{ deleteOnTermination: maybe(flag), wanted: flag },
});

const server = object<T.TopologyServer>({
  ...{ id: text, name: text, status: text, description: maybe(text), hostname: maybe(text), flavor: maybe(flavor) },
  image: maybe(object<T.NamedObject>({ id: text, name: maybe(text) })),
  ...{ keyName: maybe(text), availabilityZone: maybe(text), configDrive: flag, metadata: properties, tags: texts },
  addresses: list(
    object<T.ServerAddress>({ network: text, address: text, kind: oneOf('fixed', 'floating'), mac: maybe(text) }),
  ),
  ...{ securityGroups: texts, serverGroup: maybe(text), userData: maybe(text), disks: list(disk) },
});

const fixedIps = list(object<N.FixedIp>({ subnet: text, address: text }));
const routes = list(object<N.Route>({ destination: text, nextHop: text }));

const port = object<N.TopologyPort>({
  ...{ id: text, name: text, server: maybe(text), network: text, mac: text, fixedIps },
  floatingIps: list(object<N.FloatingIp>({ id: text, address: text, network: text, fixedAddress: maybe(text) })),
  ...{ securityGroups: texts, portSecurity: flag },
  allowedPairs: list(object<N.AddressPair>({ address: text, mac: maybe(text) })),
  ...{ vnicType: maybe(text), adminUp: flag },
});

const network = object<N.TopologyNetwork>({
  ...{ id: text, name: text, description: maybe(text), mtu: maybe(count), adminUp: flag, shared: flag, external: flag },
  ...{ portSecurity: flag, dnsDomain: maybe(text), own: flag },
});

const subnet = object<N.TopologySubnet>({
  ...{ id: text, name: text, network: text, ipVersion: count, cidr: text, gateway: maybe(text), dhcp: flag },
  ...{ pools: list(object<N.AddressRange>({ start: text, end: text })), nameservers: texts, routes },
  ...{ ipv6AddressMode: maybe(text), ipv6RaMode: maybe(text) },
});

const router = object<N.TopologyRouter>({
  ...{ id: text, name: text, adminUp: flag, externalNetwork: maybe(text), sourceNat: maybe(flag) },
  ...{ externalIps: fixedIps, routes },
  interfaces: list(object<N.RouterInterface>({ port: text, network: text, subnet: text, address: text })),
});

const rule = object<N.TopologyRule>({
  ...{ id: text, direction: oneOf('ingress', 'egress'), ethertype: text, protocol: maybe(text) },
  ...{ portMin: maybe(number), portMax: maybe(number), remoteCidr: maybe(text), remoteGroup: maybe(text) },
  description: maybe(text),
});

const volume = object<T.TopologyVolume>({
  ...{ id: text, name: text, description: maybe(text), size: count, type: maybe(text), bootable: flag },
  ...{ encrypted: flag, multiattach: flag, availabilityZone: maybe(text) },
  ...{ metadata: properties, imageMetadata: properties },
});

const image = object<T.TopologyImage>({
  ...{ id: text, name: text, diskFormat: maybe(text), containerFormat: maybe(text), size: maybe(count) },
  ...{ checksum: maybe(text), minDiskGiB: count, minRamMiB: count, visibility: maybe(text), properties },
});

const stack = object<T.TopologyStack>({
  ...{ id: text, name: text, description: maybe(text), template: maybe(text), parameters: properties },
  ...{ environment: maybe(text), files: maybe(properties), tags: texts },
  resources: list(object<T.StackResource>({ name: text, path: texts, type: text, id: maybe(text), status: text })),
});

const topology = object<T.Topology>({
  readAt: text,
  ...{ servers: list(server), ports: list(port), networks: list(network), subnets: list(subnet) },
  routers: list(router),
  securityGroups: list(
    object<N.TopologySecurityGroup>({
      ...{ id: text, name: text, description: text, stateful: maybe(flag), rules: list(rule) },
    }),
  ),
  keyPairs: list(object<T.TopologyKeyPair>({ name: text, type: text, publicKey: text, fingerprint: text })),
  volumes: list(volume),
  serverGroups: list(object<T.TopologyServerGroup>({ id: text, name: text, policy: text, servers: texts })),
  ...{ images: list(image), stack: maybe(stack) },
  unprotected: list(object<T.Unprotected>({ server: text, name: text, volume: maybe(text), why: text })),
  omitted: list(object<T.Omission>({ part: text, why: text })),
});

/** The topology in a JSON value, with its known fields only. Throws `bad-format` naming `origin` and the field. */
export function checkTopology(value: unknown, origin: string): T.Topology {
  return topology(value, origin);
}

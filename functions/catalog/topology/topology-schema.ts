import { document } from '../document-schema.ts';

/** A topology as the API shows it, as JSON Schema 2020-12: what `functions/vault/format/topology.ts` says, for callers. */
const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const bytes = { ...count, description: 'Bytes.' } as const;
const flag = { type: 'boolean' } as const;
const texts = { type: 'array', items: text } as const;
const properties = { type: 'object', additionalProperties: text } as const;

const listOf = (fields: Record<string, object>) => ({ type: 'array', items: document(fields) }) as const;

const flavor = document({
  ...{ 'id?': text, name: text, vcpus: count, ramMiB: count, diskGiB: count, ephemeralGiB: count, swapMiB: count },
  'extraSpecs?': properties,
});
const disks = listOf({
  ...{ name: text, 'size?': bytes, 'volume?': text, 'device?': text, 'bootIndex?': count },
  ...{ 'deleteOnTermination?': flag, wanted: flag },
});
const fixedIps = listOf({ subnet: text, address: text });
const routes = listOf({ destination: text, nextHop: text });

export const TOPOLOGY_SCHEMA = {
  ...document({
    readAt: text,
    servers: listOf({
      ...{ id: text, name: text, status: text, 'description?': text, 'hostname?': text, 'flavor?': flavor },
      ...{ 'image?': document({ id: text, 'name?': text }), 'keyName?': text, 'availabilityZone?': text },
      ...{ configDrive: flag, metadata: properties, tags: texts },
      addresses: listOf({ network: text, address: text, kind: { enum: ['fixed', 'floating'] }, 'mac?': text }),
      ...{ securityGroups: texts, 'serverGroup?': text, 'userData?': text, disks },
    }),
    ports: listOf({
      ...{ id: text, name: text, 'server?': text, network: text, mac: text, fixedIps },
      floatingIps: listOf({ id: text, address: text, network: text, 'fixedAddress?': text }),
      ...{ securityGroups: texts, portSecurity: flag, allowedPairs: listOf({ address: text, 'mac?': text }) },
      ...{ 'vnicType?': text, adminUp: flag },
    }),
    networks: listOf({
      ...{ id: text, name: text, 'description?': text, 'mtu?': count, adminUp: flag, shared: flag, external: flag },
      ...{ portSecurity: flag, 'dnsDomain?': text, own: flag },
    }),
    subnets: listOf({
      ...{ id: text, name: text, network: text, ipVersion: count, cidr: text, 'gateway?': text, dhcp: flag },
      ...{ pools: listOf({ start: text, end: text }), nameservers: texts, routes },
      ...{ 'ipv6AddressMode?': text, 'ipv6RaMode?': text },
    }),
    routers: listOf({
      ...{ id: text, name: text, adminUp: flag, 'externalNetwork?': text, 'sourceNat?': flag },
      ...{ externalIps: fixedIps, routes },
      interfaces: listOf({ port: text, network: text, subnet: text, address: text }),
    }),
    securityGroups: listOf({
      ...{ id: text, name: text, description: text, 'stateful?': flag },
      rules: listOf({
        ...{ id: text, direction: { enum: ['ingress', 'egress'] }, ethertype: text, 'protocol?': text },
        ...{ 'portMin?': count, 'portMax?': count, 'remoteCidr?': text, 'remoteGroup?': text, 'description?': text },
      }),
    }),
    keyPairs: listOf({ name: text, type: text, publicKey: text, fingerprint: text }),
    volumes: listOf({
      ...{ id: text, name: text, 'description?': text, size: bytes, 'type?': text, bootable: flag, encrypted: flag },
      ...{ multiattach: flag, 'availabilityZone?': text, metadata: properties, imageMetadata: properties },
    }),
    serverGroups: listOf({ id: text, name: text, policy: text, servers: texts }),
    images: listOf({
      ...{ id: text, name: text, 'diskFormat?': text, 'containerFormat?': text, 'size?': bytes, 'checksum?': text },
      ...{ minDiskGiB: count, minRamMiB: count, 'visibility?': text, properties },
    }),
    'stack?': document({
      ...{ id: text, name: text, 'description?': text, 'template?': text, parameters: properties },
      ...{ 'environment?': text, 'files?': properties },
      resources: listOf({ name: text, path: texts, type: text, 'id?': text, status: text }),
      tags: texts,
    }),
    unprotected: listOf({ server: text, name: text, 'volume?': text, why: text }),
    omitted: listOf({ part: text, why: text }),
  }),
  description: 'What the servers of a restore point were built of, with all that could be read. May hold secrets.',
} as const;

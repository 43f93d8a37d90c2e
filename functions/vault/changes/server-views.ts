import type { Properties, Topology, TopologyFlavor } from '../format/topology.ts';
import type { ListedView, Names } from './compare-lists.ts';

/** Servers, and what they are made of. */
export function serverViews(
  { servers, volumes, keyPairs, serverGroups, images, unprotected }: Topology,
  names: Names,
): ListedView[] {
  const object = (id: string | undefined) => (id === undefined ? undefined : { id, called: names.get(id) ?? id });
  const called = (id: string) => (names.has(id) ? `${names.get(id)} (${id})` : id);
  return [
    {
      ...{ part: 'servers', kind: 'server' },
      objects: servers.map((server) => ({
        ...{ id: server.id, name: server.name },
        fields: {
          ...{ name: server.name, state: server.status, description: server.description, 'host name': server.hostname },
          ...{ flavor: flavorWords(server.flavor), image: object(server.image?.id) },
          ...{ 'key pair': server.keyName, 'availability zone': server.availabilityZone },
          ...{ 'config drive': server.configDrive, 'user data': secretly(server.userData) },
          'server group': object(server.serverGroup),
        },
        sets: {
          metadata: pairs(server.metadata),
          tag: server.tags,
          address: server.addresses.map(({ network, address, kind, mac }) =>
            [address, 'on', network, ...(kind === 'floating' ? ['(floating)'] : []), ...(mac ? [`(${mac})`] : [])].join(
              ' ',
            ),
          ),
          'security group': server.securityGroups,
          'extra spec': pairs(server.flavor?.extraSpecs ?? {}),
          disk: server.disks.map(({ name, device, bootIndex, deleteOnTermination, wanted }) =>
            [
              called(name.slice(name.indexOf('/') + 1)),
              ...(device === undefined ? [] : [`at ${device}`]),
              ...(bootIndex === undefined ? [] : [`with boot index ${bootIndex}`]),
              ...(deleteOnTermination === undefined
                ? []
                : [deleteOnTermination ? 'deleted with it' : 'kept without it']),
              ...(wanted ? [] : ['(not backed up)']),
            ].join(' '),
          ),
        },
      })),
    },
    {
      ...{ part: 'volumes', kind: 'volume' },
      objects: volumes.map(({ metadata, imageMetadata, ...volume }) => ({
        ...{ id: volume.id, name: volume.name },
        fields: {
          ...{ name: volume.name, size: { size: volume.size }, description: volume.description, type: volume.type },
          ...{ bootable: volume.bootable, encrypted: volume.encrypted, 'multi-attach': volume.multiattach },
          'availability zone': volume.availabilityZone,
        },
        sets: { metadata: pairs(metadata), 'image property': pairs(imageMetadata) },
      })),
    },
    {
      ...{ part: 'keyPairs', kind: 'key pair' },
      objects: keyPairs.map(({ name, type, publicKey, fingerprint }) => ({
        ...{ id: name, name, fields: { type, fingerprint, 'public key': publicKey }, sets: {} },
      })),
    },
    {
      ...{ part: 'serverGroups', kind: 'server group' },
      objects: serverGroups.map(({ id, name, policy, servers: members }) => ({
        ...{ id, name, fields: { name, policy } },
        sets: { server: members.map((member) => names.get(member) ?? member) },
      })),
    },
    {
      ...{ part: 'images', kind: 'image' },
      objects: images.map(({ id, name, properties, ...image }) => ({
        ...{ id, name },
        fields: {
          ...{ name, format: image.diskFormat, container: image.containerFormat, visibility: image.visibility },
          ...{ size: image.size === undefined ? undefined : { size: image.size }, checksum: image.checksum },
          ...{ 'least disk (GiB)': image.minDiskGiB, 'least memory (MiB)': image.minRamMiB },
        },
        sets: { property: pairs(properties) },
      })),
    },
    {
      ...{ part: 'unprotected', kind: 'protection' },
      words: { added: 'is missing', removed: 'is no longer missing' },
      objects: unprotected.map(({ server, name, volume, why }) => ({
        ...{
          id: `${server} ${volume ?? ''}`,
          name: volume === undefined ? `of server ${name}` : `of volume ${names.get(volume) ?? volume} of ${name}`,
        },
        ...{ fields: { why }, sets: {} },
      })),
    },
  ];
}

/** `name=value` each. */
export function pairs(properties: Properties): string[] {
  return Object.entries(properties).map(([name, value]) => `${name}=${value}`);
}

export function secretly(text: string | undefined) {
  return text === undefined ? undefined : { secret: text };
}

function flavorWords(flavor: TopologyFlavor | undefined): string | undefined {
  if (flavor === undefined) return undefined;
  const { name, vcpus, ramMiB, diskGiB, ephemeralGiB, swapMiB } = flavor;
  const more = [
    ...(ephemeralGiB === 0 ? [] : [`${ephemeralGiB} GiB ephemeral`]),
    ...(swapMiB === 0 ? [] : [`${swapMiB} MiB swap`]),
  ];
  return `${name} (${[`${vcpus} vCPU`, `${ramMiB} MiB`, `${diskGiB} GiB`, ...more].join(', ')})`;
}

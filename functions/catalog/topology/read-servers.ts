import type {
  ServerAddress,
  TopologyFlavor,
  TopologyKeyPair,
  TopologyServer,
  TopologyServerGroup,
} from '#vault/format/topology.ts';
import { findById } from './find-by-id.ts';
import type { Questions } from './questions.ts';
import { allSaid, countIn, flagIn, propertiesIn, type Said, said, textAs, textIn, textsIn } from './said.ts';

/** A server as Nova tells it; its disks are put together from what others tell. */
export interface FoundServer extends Omit<TopologyServer, 'disks'> {
  /** Attached volumes. */
  readonly attached: readonly { readonly volume: string; readonly deleteOnTermination?: boolean }[];
  /** `/dev/vda`, where the cloud shows it. */
  readonly rootDevice?: string;
}

export interface FoundCompute {
  readonly servers: readonly FoundServer[];
  readonly keyPairs: readonly TopologyKeyPair[];
  readonly serverGroups: readonly TopologyServerGroup[];
}

/** The servers of these ids that are there, in that order, with what Nova knows besides. Never throws. */
export async function readServers(questions: Questions, ids: readonly string[]): Promise<FoundCompute> {
  const { ask, attempt } = questions;
  const [found, flavors, keyPairs, groups] = await Promise.all([
    attempt(['servers'], [], () => findById(questions, 'server', ids)),
    attempt(['servers.flavor.id'], new Map<string, string>(), async () =>
      flavorsIn(await ask('nova', '/flavors/detail?limit=1000')),
    ),
    attempt(['keyPairs'], undefined, async () =>
      allSaid((await ask('nova', '/os-keypairs'))?.['keypairs']).map(keyPairOf),
    ),
    attempt(['serverGroups'], [], async () =>
      allSaid((await ask('nova', '/os-server-groups?limit=1000'))?.['server_groups']),
    ),
  ]);
  const servers = found.map((server) => serverOf(server, flavors));
  tellMissing(questions, ids, servers);
  return {
    servers: servers.map((server) => inGroup(server, groups)),
    keyPairs: usedKeys(questions, servers, keyPairs),
    serverGroups: groups.flatMap((group) => serverGroupOf(group, servers)),
  };
}

function tellMissing({ omit, omitted }: Questions, ids: readonly string[], servers: readonly FoundServer[]): void {
  if (omitted().some(({ part }) => part === 'servers')) return;
  const there = new Set(servers.map(({ id }) => id));
  for (const id of ids) if (!there.has(id)) omit(`servers.${id}`, 'Nova has no such server any more.');
  const shown = servers.some(({ userData }) => userData !== undefined);
  if (servers.length > 0 && !shown) omit('servers.userData', 'Nova shows none: by default only to administrators.');
}

function serverOf(server: Said, flavors: ReadonlyMap<string, string>): FoundServer {
  const image = textIn(said(server['image']), 'id');
  return {
    ...{ id: textIn(server, 'id'), name: textIn(server, 'name'), status: textIn(server, 'status') },
    ...textAs('description', server, 'description'),
    ...textAs('hostname', server, server['hostname'] === undefined ? 'OS-EXT-SRV-ATTR:hostname' : 'hostname'),
    ...flavorOf(said(server['flavor']), flavors),
    ...(image === '' ? {} : { image: { id: image } }),
    ...textAs('keyName', server, 'key_name'),
    ...textAs('availabilityZone', server, 'OS-EXT-AZ:availability_zone'),
    configDrive: flagIn(server, 'config_drive'),
    metadata: propertiesIn(server['metadata']),
    tags: textsIn(server, 'tags'),
    addresses: Object.entries(said(server['addresses'])).flatMap(([network, list]) => addressesOf(network, list)),
    securityGroups: [...new Set(allSaid(server['security_groups']).map((group) => textIn(group, 'name')))].sort(),
    ...textAs('userData', server, 'OS-EXT-SRV-ATTR:user_data'),
    ...textAs('rootDevice', server, 'OS-EXT-SRV-ATTR:root_device_name'),
    attached: allSaid(server['os-extended-volumes:volumes_attached']).map((volume) => ({
      volume: textIn(volume, 'id'),
      ...(volume['delete_on_termination'] === undefined
        ? {}
        : { deleteOnTermination: flagIn(volume, 'delete_on_termination') }),
    })),
  };
}

function addressesOf(network: string, list: unknown): ServerAddress[] {
  return allSaid(list).map((address) => ({
    ...{ network, address: textIn(address, 'addr') },
    kind: address['OS-EXT-IPS:type'] === 'floating' ? 'floating' : 'fixed',
    ...textAs('mac', address, 'OS-EXT-IPS-MAC:mac_addr'),
  }));
}

/** A server has the flavor that it was made with, whatever became of it since. */
function flavorOf(flavor: Said, ids: ReadonlyMap<string, string>): { readonly flavor?: TopologyFlavor } {
  const name = textIn(flavor, 'original_name');
  if (name === '') return {};
  const id = ids.get(name);
  const extraSpecs = flavor['extra_specs'];
  return {
    flavor: {
      ...(id === undefined ? {} : { id }),
      ...{ name, vcpus: countIn(flavor, 'vcpus'), ramMiB: countIn(flavor, 'ram'), diskGiB: countIn(flavor, 'disk') },
      ...{ ephemeralGiB: countIn(flavor, 'ephemeral'), swapMiB: countIn(flavor, 'swap') },
      ...(extraSpecs === undefined ? {} : { extraSpecs: propertiesIn(extraSpecs) }),
    },
  };
}

/** Ids by name, which is unique among flavors. */
function flavorsIn(answer: Said | undefined): Map<string, string> {
  return new Map(allSaid(answer?.['flavors']).map((flavor) => [textIn(flavor, 'name'), textIn(flavor, 'id')]));
}

function keyPairOf(item: Said): TopologyKeyPair {
  const pair = said(item['keypair']);
  return {
    ...{ name: textIn(pair, 'name'), type: textIn(pair, 'type') || 'ssh' },
    ...{ publicKey: textIn(pair, 'public_key'), fingerprint: textIn(pair, 'fingerprint') },
  };
}

/** Key pairs are their users', not the project's: those of others cannot be read. */
function usedKeys(
  { omit }: Questions,
  servers: readonly FoundServer[],
  keyPairs: readonly TopologyKeyPair[] | undefined,
) {
  if (keyPairs === undefined) return [];
  const used = new Set(servers.flatMap(({ keyName }) => keyName ?? []));
  const found = keyPairs.filter(({ name }) => used.has(name));
  for (const { name } of found) used.delete(name);
  for (const name of used) omit(`keyPairs.${name}`, 'The caller has no such key pair: it is another user’s, or gone.');
  return found;
}

function inGroup(server: FoundServer, groups: readonly Said[]): FoundServer {
  const group = groups.find((each) => textsIn(each, 'members').includes(server.id));
  return group === undefined ? server : { ...server, serverGroup: textIn(group, 'id') };
}

function serverGroupOf(group: Said, servers: readonly FoundServer[]): TopologyServerGroup[] {
  const members = new Set(textsIn(group, 'members'));
  const known = servers.flatMap(({ id }) => (members.has(id) ? [id] : []));
  if (known.length === 0) return [];
  const policy = textIn(group, 'policy') || (textsIn(group, 'policies')[0] ?? '');
  return [{ id: textIn(group, 'id'), name: textIn(group, 'name'), policy, servers: known }];
}

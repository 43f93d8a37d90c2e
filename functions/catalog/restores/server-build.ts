import { EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import type { Topology, TopologyServer } from '#vault/format/topology.ts';
import { bootDisk } from './boot-disk.ts';

/** How a server of a point is to be built again, where that differs from what it was. */
export interface BuildWish {
  /** What its first disk becomes: a volume, or an image that its local disk is made of. */
  readonly root: 'volume' | 'image';
  readonly name?: string;
  /** Id. */
  readonly flavor?: string;
  /** As Nova takes them. */
  readonly networks?: Networks;
  /** Whether it gets the addresses again that it had: the server that had them must be gone. */
  readonly addresses: 'new' | 'same';
  /** Empty: none, whatever it had. */
  readonly keyName?: string;
  readonly availabilityZone?: string;
  /** Names. */
  readonly securityGroups?: readonly string[];
}

export type Networks = 'auto' | 'none' | readonly NetworkWish[];
export interface NetworkWish {
  readonly uuid?: string;
  readonly port?: string;
  readonly fixed_ip?: string;
}

/** What Nova is asked for. Every id is one of the cloud that the point was taken in. */
export interface ServerBuild {
  /** The `server` of Nova's `POST /servers`, without block devices. */
  readonly server: Readonly<Record<string, unknown>>;
  /** Name of the disk that it boots from. */
  readonly boot: string;
}

export interface PlannedBuild extends ServerBuild {
  /** Inputs that the point does not tell, and that have to be given: `flavor`, `networks`. */
  readonly missing: readonly string[];
}

/**
 * What is needed to build a server again, of what the point tells and what is wished. One server at a time; networks, security groups and
 * key pairs are those that are there. Whatever can be secret (user data) is left out: it goes through workflows.
 */
export function planBuild(
  point: RestorePoint,
  server: string,
  names: readonly string[],
  wish: BuildWish,
): PlannedBuild {
  const { topology } = point;
  const known = topology?.servers.find(({ id }) => id === server);
  const flavor = wish.flavor ?? known?.flavor?.id;
  const networks = wish.networks ?? (topology && known && networksOf(topology, known, wish.addresses));
  const keyName = wish.keyName ?? known?.keyName;
  const zone = wish.availabilityZone ?? zoneOf(known);
  const groups = networks === 'none' ? [] : (wish.securityGroups ?? known?.securityGroups ?? []);
  const request = {
    name: wish.name ?? `${known?.name ?? server}-restored`.slice(-255),
    ...(flavor === undefined ? {} : { flavorRef: flavor }),
    ...(networks === undefined ? {} : { networks }),
    ...(keyName === undefined || keyName === '' ? {} : { key_name: keyName }),
    ...(zone === undefined ? {} : { availability_zone: zone }),
    ...(groups.length === 0 ? {} : { security_groups: [...new Set(groups)].map((name) => ({ name })) }),
    ...(known?.configDrive === true ? { config_drive: true } : {}),
    metadata: { ...known?.metadata, ekko_point: point.id, ekko_server: server },
  };
  const missing = [flavor === undefined ? ['flavor'] : [], networks === undefined ? ['networks'] : []].flat();
  return { server: request, boot: bootDisk(names, known), missing };
}

/** Nova's default is no place that somebody has chosen; asked for by name, it would tie the server to it. */
function zoneOf(known: TopologyServer | undefined): string | undefined {
  return known?.availabilityZone === 'nova' ? undefined : known?.availabilityZone;
}

/** Throws `bad-input` naming each input that the point does not tell. */
export function checkBuild({ missing, ...build }: PlannedBuild, point: string): ServerBuild {
  if (missing.length === 0) return build;
  throw new EkkoError(
    'bad-input',
    `Point ${point} does not tell the ${missing.join(' and the ')} of the server. Give: ${missing.join(', ')}.`,
  );
}

/** Undefined: nobody knows. */
function networksOf(
  topology: Topology,
  { id }: TopologyServer,
  addresses: BuildWish['addresses'],
): Networks | undefined {
  const ports = topology.ports.filter(({ server }) => server === id);
  if (ports.length === 0) return topology.omitted.some(({ part }) => part === 'ports') ? undefined : 'none';
  return ports.map(({ network, fixedIps: [first] }) => ({
    uuid: network,
    ...(addresses === 'same' && first !== undefined ? { fixed_ip: first.address } : {}),
  }));
}

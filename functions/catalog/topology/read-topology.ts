import type { Topology, Unprotected } from '#vault/format/topology.ts';
import type { Caller } from '../caller.ts';
import type { MemberServer } from '../group/find-disks.ts';
import type { GroupServer } from '../group/resolve-group.ts';
import type { CloudEndpoints } from '../settings.ts';
import { openQuestions } from './questions.ts';
import { readImages } from './read-images.ts';
import { readNetworks } from './read-networks.ts';
import { type FoundServer, readServers } from './read-servers.ts';
import { readStack } from './read-stack.ts';
import { type FoundVolume, readVolumes } from './read-volumes.ts';
import { disksOf } from './server-disks.ts';

/** What the cloud told of a group; what only the run knows is still to be added. */
export interface FoundTopology {
  readonly servers: readonly FoundServer[];
  readonly volumes: readonly FoundVolume[];
  readonly rest: Omit<Topology, 'servers' | 'volumes' | 'unprotected'>;
}

/** All in all. A service that hangs must not keep a backup from its moment for longer. */
const LONGEST_MS = 20_000;

/** Reads what a group is built of, with the caller's rights. What cannot be read is left out and named. Never throws, and ends in 20 s. */
export async function findTopology(
  endpoints: CloudEndpoints,
  caller: Caller,
  group: { readonly servers: readonly GroupServer[]; readonly stack: string | undefined },
  now: Date,
  longestMs = LONGEST_MS,
): Promise<FoundTopology> {
  const signal = AbortSignal.timeout(longestMs);
  const questions = openQuestions(endpoints, caller, signal);
  const ids = group.servers.map(({ server }) => server);
  const attached = group.servers.flatMap(({ volumes }) => volumes);
  const [compute, volumes, networks, stack] = await Promise.all([
    readServers(questions, ids),
    readVolumes(questions, [...new Set(attached)]),
    readNetworks(questions, caller.project, ids),
    group.stack === undefined ? undefined : readStack(questions, caller, group.stack),
  ]);
  const images = await readImages(questions, imagesOf(compute.servers, volumes));
  const names = new Map(images.map(({ id, name }) => [id, name]));
  return {
    servers: compute.servers.map((server) => withImageName(server, names)),
    volumes,
    rest: {
      ...{ readAt: now.toISOString(), keyPairs: compute.keyPairs, serverGroups: compute.serverGroups },
      ...{ ...networks, images, omitted: questions.omitted() },
      ...(stack === undefined ? {} : { stack }),
    },
  };
}

/** The topology of a run: with the disks that it was to back up, and with what belongs to the group and is not protected. */
export function completeTopology(
  { servers, volumes, rest }: FoundTopology,
  members: readonly MemberServer[],
  unprotected: readonly Unprotected[],
): Topology {
  const wanted = new Map(members.map(({ server, disks }) => [server, disks]));
  return {
    ...rest,
    servers: servers.map(({ attached, rootDevice, ...server }) => ({
      ...server,
      disks: disksOf({ ...server, attached, rootDevice }, wanted.get(server.id) ?? [], volumes),
    })),
    volumes: volumes.map(({ devices: _devices, ...volume }) => volume),
    unprotected,
  };
}

function imagesOf(servers: readonly FoundServer[], volumes: readonly FoundVolume[]): string[] {
  const ids = [
    ...servers.map(({ image }) => image?.id ?? ''),
    ...volumes.map(({ imageMetadata }) => imageMetadata['image_id'] ?? ''),
  ];
  return [...new Set(ids)].filter((id) => id !== '');
}

function withImageName(server: FoundServer, names: ReadonlyMap<string, string>): FoundServer {
  const { image } = server;
  const name = names.get(image?.id ?? '');
  return image === undefined || name === undefined ? server : { ...server, image: { ...image, name } };
}

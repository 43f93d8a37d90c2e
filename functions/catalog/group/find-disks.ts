import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import { disksOf, type ExporterDisk } from '../exporters/exporter-client.ts';
import type { PolicyDefinition } from '../policies/policy.ts';
import type { Group, GroupServer, Warning } from './resolve-group.ts';

/** A disk that is to be backed up. */
export interface WantedDisk {
  /** In restore points. */
  readonly name: string;
  /** As its exporter calls it. */
  readonly source: string;
  readonly size: number;
  readonly volume?: string;
  /** Digest of the image that it was built on; '' while its exporter reads that. */
  readonly image?: string;
  /** `vda`, where the exporter knows it. */
  readonly device?: string;
}

export interface MemberServer extends GroupServer {
  readonly disks: readonly WantedDisk[];
}

const AT_ONCE = 16;

/** What is asked for, and with whose rights. */
export interface DiskRequest {
  readonly caller: Caller;
  readonly policy: PolicyDefinition;
  /** Of images that disks were built on: exporters may have to read those. */
  readonly digests: 'yes' | 'no';
}

/** Asks the exporters which disks the servers have, and leaves those that the policy wants. A server whose exporter fails has a problem, and no disk. */
export async function findDisks({ servers, warnings }: Group, request: DiskRequest) {
  const members = await pLimit(AT_ONCE).map([...servers], (server) => findOf(server, request));
  const fresh = members.flatMap((member, index) => warningsOf(member, servers[index]?.problem === undefined));
  return { members, warnings: [...warnings, ...fresh] };
}

async function findOf(server: GroupServer, { caller, policy, digests }: DiskRequest): Promise<MemberServer> {
  const { exporter, host } = server;
  if (exporter === undefined || host === undefined) return { ...server, disks: [] };
  try {
    const found = await disksOf({ server: server.server, host, exporter }, caller.token, digests);
    const disks = found
      .filter((disk) => isWanted(server.server, disk, policy.disks))
      .map((disk) => wantedDisk(server.server, disk));
    if (disks.length > 0) return { ...server, disks };
    const problem =
      found.length === 0 ? 'Its exporter finds no disk of it.' : 'The policy leaves out all of its disks.';
    return { ...server, disks, problem };
  } catch (error) {
    if (!(error instanceof EkkoError)) throw error;
    return { ...server, disks: [], problem: error.message };
  }
}

function wantedDisk(server: string, { name, size, kind, volume, device, imageDigest }: ExporterDisk): WantedDisk {
  const own = kind === 'volume' && volume !== undefined ? volume : ownName(server, { name });
  return {
    ...{ name: `${server}/${own}`, source: name, size },
    ...(volume === undefined ? {} : { volume }),
    ...(imageDigest === undefined ? {} : { image: imageDigest }),
    ...(device === undefined ? {} : { device }),
  };
}

/** Exporters call disks as restore points do: `<server>/<name>`. */
function ownName(server: string, { name }: Pick<ExporterDisk, 'name'>): string {
  return name.startsWith(`${server}/`) ? name.slice(server.length + 1) : name;
}

function isWanted(server: string, disk: ExporterDisk, wanted: PolicyDefinition['disks']): boolean {
  const names = [ownName(server, disk), disk.volume, disk.device].flatMap((name) =>
    name === undefined ? [] : [name, `${server}/${name}`],
  );
  const listed = (list: readonly string[]) => names.some((name) => list.includes(name));
  if (wanted?.include !== undefined && !listed(wanted.include)) return false;
  return wanted?.exclude === undefined || !listed(wanted.exclude);
}

/** `fresh`: the server's problem was not known before its exporter was asked. */
function warningsOf({ server, name, volumes, disks, problem }: MemberServer, fresh: boolean): Warning[] {
  if (problem !== undefined) {
    return fresh ? [{ code: 'unprotected-server', server, message: `${name} is not protected now. ${problem}` }] : [];
  }
  const covered = new Set(disks.map(({ volume }) => volume));
  const left = volumes.filter((volume) => !covered.has(volume));
  return left.map((volume) => ({
    ...({ code: 'unprotected-volume', server, volume } as const),
    message: `Volume ${volume} is attached to ${name} and is not backed up: the policy leaves it out, or its exporter does not see it.`,
  }));
}

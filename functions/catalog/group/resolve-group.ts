import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { type CloudServer, hostIdOf, serversById, serversByTag } from '../cloud/servers.ts';
import { serversOfStack } from '../cloud/stack-servers.ts';
import { type KnownExporter, knownExporters } from '../exporters/registered-exporters.ts';
import { MOST_MEMBERS, type PolicyDefinition } from '../policies/policy.ts';

/** Something that an owner wants to know. */
export interface Warning {
  readonly code: 'no-exporter' | 'server-missing' | 'unprotected-server' | 'unprotected-volume';
  readonly server: string;
  /** That is not backed up, where it is not the whole server. */
  readonly volume?: string;
  readonly message: string;
}

/** A server of the group, and who can export it. */
export interface GroupServer {
  readonly server: string;
  readonly name: string;
  readonly status: string;
  readonly volumes: readonly string[];
  /** Undefined: it is on no host that an exporter is registered for. */
  readonly host?: string;
  readonly exporter?: string;
  /** Why it cannot be backed up now. */
  readonly problem?: string;
}

export interface Group {
  readonly servers: readonly GroupServer[];
  readonly warnings: readonly Warning[];
}

type Resolver = Pick<Catalog, 'registry' | 'endpoints' | 'now'>;

/**
 * The servers that a policy names *now*, with the caller's own rights. Throws `bad-input` where they are none or more than
 * `MOST_MEMBERS`, or the stack is not there; and what the services throw.
 */
export async function resolveGroup(catalog: Resolver, caller: Caller, policy: PolicyDefinition): Promise<Group> {
  const [{ servers, missing }, exporters] = await Promise.all([
    findServers(catalog, caller, policy.members),
    knownExporters(catalog.registry, catalog.now()),
  ]);
  const hosts = new Map(exporters.map((exporter) => [hostIdOf(caller.project, exporter.host), exporter]));
  const found = servers.map((server) => groupServer(server, hosts.get(server.hostId)));
  const gone = missing.map((server) => ({ server, name: server, status: 'DELETED', volumes: [], problem: MISSING }));
  return {
    servers: [...found, ...gone].sort((a, b) => (a.server < b.server ? -1 : 1)),
    warnings: [...found, ...gone].flatMap(warningOf),
  };
}

const MISSING = 'The project has no such server. Was it deleted?';

async function findServers(
  { endpoints }: Resolver,
  caller: Caller,
  { stack, servers = [], tags }: PolicyDefinition['members'],
) {
  const [stacked, tagged] = await Promise.all([
    stack === undefined ? [] : serversOfStack(endpoints.heat, caller, stack),
    tags === undefined ? [] : serversByTag(endpoints.nova, caller, tags, MOST_MEMBERS),
  ]);
  const known = new Map<string, CloudServer>(tagged.map((server) => [server.id, server]));
  const wanted = [...new Set([...servers, ...stacked])].filter((id) => !known.has(id));
  refuseCrowd(known.size + wanted.length);
  const looked = await serversById(endpoints.nova, caller, wanted);
  for (const server of looked) if (server !== undefined) known.set(server.id, server);
  if (known.size === 0)
    throw new EkkoError('bad-input', `The policy's members are none now: ${wordsFor({ stack, servers, tags })}.`);
  return { servers: [...known.values()], missing: wanted.filter((id) => !known.has(id)) };
}

function refuseCrowd(count: number): void {
  if (count <= MOST_MEMBERS) return;
  const found = count > 2 * MOST_MEMBERS ? `more than ${2 * MOST_MEMBERS}` : String(count);
  throw new EkkoError(
    'bad-input',
    `The policy's members are ${found} servers; one moment of more than ${MOST_MEMBERS} cannot be taken. Split it into several policies.`,
  );
}

function wordsFor({
  stack,
  servers,
  tags,
}: {
  stack: string | undefined;
  servers: readonly string[];
  tags: readonly string[] | undefined;
}) {
  const words = [
    ...(stack === undefined ? [] : [`stack ${stack} has no server`]),
    ...(tags === undefined ? [] : [`no server has a tag of ${tags.join(', ')}`]),
    ...(servers.length === 0 ? [] : ['none of the servers named is there']),
  ];
  return words.join('; ');
}

/** Without a disk of its own on a host, there is nothing to read from. */
const UNREADABLE: ReadonlySet<string> = new Set(['BUILD', 'ERROR', 'DELETED', 'SOFT_DELETED', 'SHELVED_OFFLOADED']);

function groupServer(
  { id, name, status, hostId, volumes }: CloudServer,
  exporter: KnownExporter | undefined,
): GroupServer {
  const server = { server: id, name, status, volumes };
  if (UNREADABLE.has(status))
    return { ...server, problem: `The server is in state ${status}: it cannot be backed up now.` };
  if (hostId === '') return { ...server, problem: 'The server is on no host.' };
  if (exporter === undefined) return { ...server, problem: NO_EXPORTER };
  const { host, url, seenAt, stale } = exporter;
  if (stale) return { ...server, host, problem: `The exporter of its host ${host} was last seen at ${seenAt}.` };
  return { ...server, host, exporter: url };
}

const NO_EXPORTER = 'No exporter is registered for the host that it runs on.';

function warningOf({ server, name, problem, exporter, status }: GroupServer): Warning[] {
  if (problem === undefined) return [];
  const code =
    status === 'DELETED'
      ? 'server-missing'
      : exporter === undefined && problem.includes('xporter')
        ? 'no-exporter'
        : 'unprotected-server';
  return [{ code, server, message: `${name} is not protected now. ${problem}` }];
}

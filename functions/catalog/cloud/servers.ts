import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import { refusal } from './call-service.ts';
import { askCloud, type CloudService, getFromCloud } from './tenant-call.ts';

/** A server as Nova tells its owner. */
export interface CloudServer {
  readonly id: string;
  readonly name: string;
  /** `ACTIVE`, `SHUTOFF`, … */
  readonly status: string;
  /** Which hypervisor it is on, in Nova's own disguise; empty where it is on none. */
  readonly hostId: string;
  /** Ids of attached Cinder volumes. */
  readonly volumes: readonly string[];
}

/** Tags came with 2.26. */
const MICROVERSION = 'compute 2.26';
const AT_ONCE = 8;
const PAGE = 500;
const MOST_VOLUMES = 256;

/** Servers by their ids, in the same order; undefined for those that the project does not have. Throws `cloud-failed`, `token-refused`, … */
export function serversById(
  nova: string,
  caller: Caller,
  ids: readonly string[],
): Promise<(CloudServer | undefined)[]> {
  return pLimit(AT_ONCE).map([...ids], async (id) => {
    const path = `/servers/${encodeURIComponent(id)}`;
    const service = novaAt(nova);
    const answer = await askCloud(service, caller, path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusal({ service: service.name, url: path }, answer);
    return serverOf((answer.body as { server?: unknown } | undefined)?.server);
  });
}

/** All servers of the project that have any of the tags, at most `most` and one more. Throws as above. */
export async function serversByTag(
  nova: string,
  caller: Caller,
  tags: readonly string[],
  most: number,
): Promise<CloudServer[]> {
  const found: CloudServer[] = [];
  let marker = '';
  for (;;) {
    const query = new URLSearchParams({ 'tags-any': tags.join(','), limit: String(PAGE), ...(marker && { marker }) });
    const body = (await getFromCloud(novaAt(nova), caller, `/servers/detail?${query}`)) as
      | { servers?: unknown[] }
      | undefined;
    const page = (body?.servers ?? []).map(serverOf);
    found.push(...page);
    if (page.length === 0 || found.length > most) return found;
    marker = page.at(-1)?.id ?? '';
  }
}

/** What Nova calls a host to a project that must not know it. */
export function hostIdOf(project: string, host: string): string {
  return createHash('sha224')
    .update(project + host)
    .digest('hex');
}

function novaAt(endpoint: string): CloudService {
  return { name: 'Nova', endpoint, headers: { 'openstack-api-version': MICROVERSION } };
}

function serverOf(value: unknown): CloudServer {
  const { id, name, status, hostId, ...rest } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' || !/^[0-9a-zA-Z-]{1,64}$/.test(id)) {
    throw new EkkoError('cloud-failed', 'Nova answered something that is no server.');
  }
  const attached = rest['os-extended-volumes:volumes_attached'];
  return {
    id,
    name: typeof name === 'string' ? name.slice(0, 255) : id,
    status: typeof status === 'string' ? status.slice(0, 64) : 'UNKNOWN',
    hostId: typeof hostId === 'string' ? hostId : '',
    volumes: (Array.isArray(attached) ? attached : []).slice(0, MOST_VOLUMES).flatMap(volumeOf),
  };
}

function volumeOf(value: unknown): string[] {
  const id: unknown = (value as { id?: unknown } | null)?.id;
  return typeof id === 'string' && /^[0-9a-zA-Z-]{1,64}$/.test(id) ? [id] : [];
}

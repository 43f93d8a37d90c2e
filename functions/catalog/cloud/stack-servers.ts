import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import { refusal } from './call-service.ts';
import { askCloud, type CloudService, getFromCloud } from './tenant-call.ts';

/** Deeper than Heat itself nests by default (5). */
const DEPTH = 10;

/**
 * Ids of the servers of a stack, by its name or id, and of the stacks nested in it, as they are now. Throws `bad-input` where there is no
 * such stack or the cloud has no Heat, `cloud-failed`, `token-refused`, `forbidden`.
 */
export async function serversOfStack(heat: string | undefined, caller: Caller, stack: string): Promise<string[]> {
  if (heat === undefined) {
    throw new EkkoError(
      'bad-input',
      'The policy names a stack, but the settings of this Ekko name no Heat. Name servers or tags.',
    );
  }
  const service: CloudService = { name: 'Heat', endpoint: heat };
  const path = await placeOfStack(service, caller, stack);
  const body = await getFromCloud(service, caller, `${path}/resources?nested_depth=${DEPTH}`);
  const { resources } = (body ?? {}) as { resources?: unknown };
  if (!Array.isArray(resources))
    throw new EkkoError('cloud-failed', 'Heat answered something that is no list of resources.');
  return [...new Set(resources.flatMap(serverIn))];
}

/** `/stacks/<name>/<id>`. Heat knows resources by name *and* id of their stack; a redirect that it gives leads to the host that it believes it is. */
export async function placeOfStack(service: CloudService, caller: Caller, stack: string): Promise<string> {
  const path = `/stacks/${encodeURIComponent(stack)}`;
  const answer = await askCloud(service, caller, path);
  if (answer.status === 404) {
    throw new EkkoError('bad-input', `Heat has no stack ${JSON.stringify(stack)} in this project. Was it deleted?`);
  }
  const [, name, id] = /\/stacks\/([^/?#]+)\/([^/?#]+)$/.exec(answer.headers.get('location') ?? '') ?? [];
  if (answer.status === 302 && name !== undefined && id !== undefined) return `/stacks/${name}/${id}`;
  const { stack: found } = (answer.body ?? {}) as { stack?: { stack_name?: unknown; id?: unknown } };
  if (answer.status === 200 && typeof found?.stack_name === 'string' && typeof found.id === 'string') {
    return `/stacks/${encodeURIComponent(found.stack_name)}/${encodeURIComponent(found.id)}`;
  }
  throw refusal({ service: service.name, url: path }, answer);
}

/** A server that is being deleted, or never came to be, has no id or is none any more. */
function serverIn(value: unknown): string[] {
  const {
    resource_type: type,
    physical_resource_id: id,
    resource_status: status,
  } = (value ?? {}) as Record<string, unknown>;
  if (type !== 'OS::Nova::Server' || typeof id !== 'string' || id === '') return [];
  return String(status).startsWith('DELETE_COMPLETE') ? [] : [id];
}

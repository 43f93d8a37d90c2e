import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import { callForResult, callService, refusal, type ServiceAnswer } from './call-service.ts';
import { type CloudService, callOf as callTo } from './tenant-call.ts';
import { upload } from './upload.ts';

/** An image that is to be made. */
export interface NewImage {
  /** The caller's choice: asked again, it is the same image. */
  readonly id: string;
  readonly name: string;
  /** GiB. */
  readonly minDisk: number;
  readonly properties: Readonly<Record<string, string>>;
}

/** An image as Glance tells its owner. */
export interface CloudImage {
  /** `queued`, `saving`, `active`, … */
  readonly status: string;
  /** Bytes; undefined as long as it has none. */
  readonly size: number | undefined;
  /** In hex, where Glance has taken one. */
  readonly sha512: string | undefined;
}

/** The images of a project, with the caller's token. Every call throws `cloud-failed`, `token-refused`, `forbidden`. */
export interface Images {
  /** An image without content, private, and in no list as long as it is hidden. Throws `target-failed` where Glance does not want it. */
  create(caller: Caller, image: NewImage): Promise<void>;
  /** Its content, a qcow2. Throws what the content throws, and `target-failed`: the quota is exceeded, or the image was deleted meanwhile. */
  send(caller: Caller, id: string, content: ImageContent): Promise<void>;
  /** Undefined: there is none. */
  find(caller: Caller, id: string): Promise<CloudImage | undefined>;
  /** Brings it into lists, with these properties. */
  publish(caller: Caller, id: string, properties: Readonly<Record<string, string>>): Promise<void>;
  /** False: Glance keeps it, because it is in use. One that is not there is removed. */
  remove(caller: Caller, id: string): Promise<boolean>;
}

export interface ImageContent {
  readonly length: number;
  readonly content: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

const PATCH_TYPE = 'application/openstack-images-v2.1-json-patch';
/** Statuses by which Glance says that it will never take this. */
const FINAL: ReadonlySet<number> = new Set([400, 404, 409, 410, 413]);

/** `endpoint`: of Glance, without a version. Throws `bad-input` where there is none. */
export function imagesAt(endpoint: string | undefined): Images {
  if (endpoint === undefined)
    throw new EkkoError('bad-input', 'The settings of this Ekko name no Glance: disks cannot be restored to images.');
  const service: CloudService = { name: 'Glance', endpoint: endpoint.replace(/(\/v2)?\/?$/, '/v2') };
  const callOf = (caller: Caller, path: string) => callTo(service, caller, path);
  const pathOf = (id: string) => `/images/${encodeURIComponent(id)}`;
  return {
    async create(caller, { id, name, minDisk, properties }) {
      const fixed = { disk_format: 'qcow2', container_format: 'bare', visibility: 'private', os_hidden: true };
      const body = { ...properties, id, name: name.slice(0, 255), min_disk: minDisk, ...fixed };
      const answer = await callService({ ...callOf(caller, '/images'), method: 'POST', body });
      if (answer.status !== 201) throw refused(answer, `the image "${name}"`);
    },
    async send(caller, id, content) {
      const { url, headers } = callOf(caller, `${pathOf(id)}/file`);
      const answer = await upload({ ...content, service: service.name, url, headers: { ...headers } });
      if (answer.status !== 204) throw refused(answer, `the content of image ${id}`);
    },
    async find(caller, id) {
      const answer = await callService(callOf(caller, pathOf(id)));
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refusal(callOf(caller, pathOf(id)), answer);
      return imageIn(answer.body);
    },
    async publish(caller, id, properties) {
      const changes = Object.entries({ ...properties, os_hidden: false });
      const body = changes.map(([name, value]) => ({ op: 'replace', path: `/${name}`, value }));
      const call = callOf(caller, pathOf(id));
      await callForResult({
        ...{ ...call, method: 'PATCH', again: true, body },
        headers: { ...call.headers, 'content-type': PATCH_TYPE },
      });
    },
    async remove(caller, id) {
      const call = { ...callOf(caller, pathOf(id)), method: 'DELETE', again: true, timeoutMs: 120_000 } as const;
      const answer = await callService(call);
      if (answer.status === 409) return false;
      if (answer.status !== 204 && answer.status !== 404) throw refusal(call, answer);
      return true;
    },
  };
}

function refused(answer: ServiceAnswer, what: string): EkkoError {
  const call = { service: 'Glance', url: '' };
  if (answer.status === 404 || answer.status === 410)
    return new EkkoError('target-failed', `Glance has not taken ${what}: somebody has deleted it meanwhile.`);
  const why = refusal(call, answer);
  return FINAL.has(answer.status)
    ? new EkkoError('target-failed', `Glance has not taken ${what}. ${why.message}`, { cause: why })
    : why;
}

function imageIn(body: unknown): CloudImage {
  const { status, size, os_hash_algo: algorithm, os_hash_value: hash } = (body ?? {}) as Record<string, unknown>;
  return {
    status: String(status).slice(0, 64),
    size: typeof size === 'number' ? size : undefined,
    sha512: algorithm === 'sha512' && typeof hash === 'string' ? hash : undefined,
  };
}

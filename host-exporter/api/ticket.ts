import { EkkoError } from '#vault/errors.ts';
import type { FullReason } from '../changed-blocks/changed-block-source.ts';
import { asObject, asObjects, countOf, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import { ApiError } from './api-error.ts';
import { askJson, type Peers } from './peers.ts';

/** What the catalog lets the exporter of one server know for one run. Tokens and the address of the upload are secret. */
export interface MemberTicket {
  readonly run: string;
  readonly vault: string;
  readonly epoch: number;
  readonly stagingPublicKey: Buffer;
  readonly disks: readonly DiskTicket[];
  readonly upload: Upload;
  readonly quiesce: 'require' | 'prefer' | 'never';
  /** Of disk, a second. */
  readonly bandwidth: number | undefined;
  /** Why everything is to be read, or undefined to count from the bitmaps. */
  readonly readAll: FullReason | undefined;
}

export interface DiskTicket {
  /** The disk's number in the run. */
  readonly index: number;
  readonly name: string;
  /** The HPKE pre-shared key. */
  readonly token: Buffer;
  readonly newest: string | undefined;
  /** Sizes of the disk at restore points. */
  readonly known: ReadonlyMap<string, number>;
  readonly lineage: string | undefined;
}

/** Objects are put at `url + key + query`: a temporary URL of Swift's for one prefix. */
export interface Upload {
  readonly url: string;
  readonly query: string;
}

const RUN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const MOST_DISKS = 1000;
const WHAT = 'the ticket of the catalog';
const QUIESCE = ['require', 'prefer', 'never'] as const;
const READ_ALL: readonly FullReason[] = ['bitmap-distrusted', 'asked-for'];

export interface TicketPlace {
  readonly catalog: string;
  readonly run: string;
  readonly server: string;
  readonly token: string;
}

/** Asks the catalog with the caller's own token. Throws `ApiError` with what the catalog refuses, `bad-format` for a ticket that is none. */
export async function fetchTicket(peers: Peers, { catalog, run, server, token }: TicketPlace): Promise<MemberTicket> {
  const url = `${catalog}/v1/runs/${run}/members/${server}/ticket`;
  const headers = { 'x-auth-token': token };
  const what = 'The catalog cannot be asked for the ticket';
  const answer = await askJson(peers, { method: 'GET', url, headers, what }).catch((error: unknown) => {
    throw new ApiError(503, 'catalog-unavailable', error instanceof Error ? `${error.message}. Try again.` : what);
  });
  if (answer.status === 200) return readTicket(answer.json, run);
  const code = isObject(answer.json) ? textOf(answer.json, 'code') : '';
  const status = [401, 403, 404, 409].includes(answer.status) ? answer.status : 502;
  throw new ApiError(
    status,
    code || 'catalog-refuses',
    `The catalog gives no ticket for run ${run} (${answer.status}).`,
  );
}

/** Checks what the catalog gave: it is of another machine. Throws `bad-format`. */
export function readTicket(given: unknown, run: string): MemberTicket {
  const ticket = asObject(given, WHAT);
  if (textOf(ticket, 'run') !== run || !RUN.test(run)) throw bad('it is for another run');
  const disks = asObjects(memberOf(ticket, 'disks'), 'its disks').map(readDisk);
  if (disks.length === 0 || disks.length > MOST_DISKS) throw bad(`it has ${disks.length} disks`);
  const quiesce = QUIESCE.find((mode) => mode === memberOf(ticket, 'quiesce'));
  if (quiesce === undefined) throw bad('its quiesce is none that there is');
  const bandwidth = memberOf(ticket, 'bandwidth') ?? 0;
  return {
    run,
    vault: textOf(ticket, 'vault'),
    epoch: countOf(ticket, 'epoch', WHAT),
    stagingPublicKey: bytesOf(ticket, 'stagingPublicKey', 32),
    disks,
    upload: readUpload(asObject(memberOf(ticket, 'upload'), 'its upload')),
    quiesce,
    bandwidth: typeof bandwidth === 'number' && bandwidth > 0 ? bandwidth : undefined,
    readAll: READ_ALL.find((reason) => reason === memberOf(ticket, 'readAll')),
  };
}

function readDisk(disk: JsonObject): DiskTicket {
  const known = asObject(memberOf(disk, 'known') ?? {}, 'known points');
  return {
    index: countOf(disk, 'index', WHAT),
    name: textOf(disk, 'name'),
    token: bytesOf(disk, 'token', 32),
    newest: textOf(disk, 'newest') || undefined,
    known: new Map(Object.keys(known).map((point) => [point, countOf(known, point, 'a known point')])),
    lineage: textOf(disk, 'lineage') || undefined,
  };
}

function readUpload(upload: JsonObject): Upload {
  const [url, query] = [textOf(upload, 'url'), textOf(upload, 'query')];
  if (!/^https?:\/\/[^\s?#@]+\/$/.test(url) || !/^\?[^\s#]*$/.test(query))
    throw bad('its upload has no usable url and query');
  return { url, query };
}

function bytesOf(object: JsonObject, key: string, length: number): Buffer {
  const bytes = Buffer.from(textOf(object, key), 'base64');
  if (bytes.length !== length) throw bad(`its ${key} has ${bytes.length} bytes`);
  return bytes;
}

function bad(found: string): EkkoError {
  return new EkkoError('bad-format', `${WHAT} cannot be used: ${found}`);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null;
}

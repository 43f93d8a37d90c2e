import { createHash } from 'node:crypto';
import type { Answerer, HttpAnswer, HttpRequest } from './faulty-http.ts';

/** A bucket in memory that answers as Ceph's RADOS Gateway 16.2 was seen to, as far as Ekko asks. It believes every signature. */
export interface FakeS3 {
  readonly answer: Answerer;
  readonly bucket: string;
  readonly objects: Map<string, Buffer>;
}

export function openFakeS3(bucket = 'bucket', pageSize = 1000): FakeS3 {
  const objects = new Map<string, Buffer>();
  return { bucket, objects, answer: (request) => answerTo(request, objects, bucket, pageSize) };
}

function answerTo(request: HttpRequest, objects: Map<string, Buffer>, bucket: string, pageSize: number): HttpAnswer {
  const url = new URL(request.path, 'http://s3');
  const [, found, key = ''] = /^\/([^/]*)\/?(.*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
  const now = new Date(performance.timeOrigin + performance.now());
  if (Math.abs(now.getTime() - signedAt(request)) > LARGEST_SKEW_MS)
    return failure(403, 'RequestTimeTooSkewed', { date: now.toUTCString() });
  if (found !== bucket) return failure(404, 'NoSuchBucket');
  if (request.method === 'PUT') return put(request, objects, key);
  if (request.method === 'GET' && key !== '') return get(request, objects, key);
  if (request.method === 'GET') return list(url.searchParams, objects, bucket, pageSize);
  if (request.method === 'POST' && url.searchParams.has('delete')) return removeAll(request, objects);
  if (request.method !== 'DELETE') return failure(405, 'MethodNotAllowed');
  objects.delete(key);
  return { status: 204 };
}

const LARGEST_SKEW_MS = 15 * 60_000;

/** Of `20261121T095450Z`. The test's own clock may be set; this one goes by the machine's. */
function signedAt({ headers }: HttpRequest): number {
  return Date.parse(String(headers['x-amz-date']).replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

export function failure(status: number, code: string, headers: HttpAnswer['headers'] = {}): HttpAnswer {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><RequestId>tx1</RequestId></Error>`;
  return { status, headers: { ...XML, ...headers }, body };
}

const XML = { 'content-type': 'application/xml' };

function put({ headers, body }: HttpRequest, objects: Map<string, Buffer>, key: string): HttpAnswer {
  if (headers['content-length'] === undefined) return failure(411, 'MissingContentLength');
  const digest = createHash('sha256').update(body).digest('hex');
  if (headers['x-amz-content-sha256'] !== digest) return failure(400, 'XAmzContentSHA256Mismatch');
  if (headers['if-none-match'] === '*' && objects.has(key)) return failure(412, 'PreconditionFailed');
  objects.set(key, body);
  return { status: 200, headers: { etag: etagOf(body) } };
}

const etagOf = (body: Buffer) => `"${createHash('md5').update(body).digest('hex')}"`;

function get({ headers }: HttpRequest, objects: Map<string, Buffer>, key: string): HttpAnswer {
  const body = objects.get(key);
  if (body === undefined) return failure(404, 'NoSuchKey');
  const common = { etag: etagOf(body), 'content-type': 'binary/octet-stream' };
  const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []).map(Number);
  if (first === undefined || last === undefined) return { status: 200, headers: common, body };
  if (first >= body.length) return failure(416, 'InvalidRange');
  const end = Math.min(last + 1, body.length);
  const range = `bytes ${first}-${end - 1}/${body.length}`;
  return { status: 206, headers: { ...common, 'content-range': range }, body: body.subarray(first, end) };
}

function list(query: URLSearchParams, objects: Map<string, Buffer>, bucket: string, pageSize: number): HttpAnswer {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, pageSize);
  const entries = page.map((key) => ({ key, size: objects.get(key)?.length ?? 0 }));
  return listing({ bucket, entries, next: keys.length > pageSize ? page.at(-1) : undefined });
}

export interface FakeListing {
  readonly bucket: string;
  readonly entries: readonly { readonly key: string; readonly size: number }[];
  /** The token of the page after this one. */
  readonly next: string | undefined;
}

/** A page of a listing, as S3 sends it. */
export function listing({ bucket, entries, next }: FakeListing): HttpAnswer {
  const contents = entries.map(({ key, size }) => `<Contents><Key>${key}</Key><Size>${size}</Size></Contents>`);
  const token = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`;
  const fields = `<Name>${bucket}</Name><IsTruncated>${next !== undefined}</IsTruncated>${token}${contents.join('')}`;
  const body = `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${fields}</ListBucketResult>`;
  return { status: 200, headers: XML, body };
}

function removeAll({ headers, body }: HttpRequest, objects: Map<string, Buffer>): HttpAnswer {
  const digest = createHash('md5').update(body).digest('base64');
  if (headers['content-md5'] !== digest) return failure(400, 'MissingContentMD5');
  const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key ?? '');
  for (const key of keys) objects.delete(key);
  return removed(keys.map((key) => ({ key })));
}

/** The answer to a removal of many: each key, with a code where it failed. */
export function removed(results: readonly { readonly key: string; readonly code?: string }[]): HttpAnswer {
  const entries = results.map(({ key, code }) =>
    code === undefined
      ? `<Deleted><Key>${key}</Key></Deleted>`
      : `<Error><Key>${key}</Key><Code>${code}</Code><Message>no</Message></Error>`,
  );
  return { status: 200, headers: XML, body: `<DeleteResult>${entries.join('')}</DeleteResult>` };
}

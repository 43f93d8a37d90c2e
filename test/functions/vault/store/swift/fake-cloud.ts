import { createHash } from 'node:crypto';
import type { Patience } from '#vault/store/swift/patience.ts';
import {
  type FaultyHttp,
  type HttpAnswer,
  type HttpRequest,
  type Match,
  openFaultyHttp,
} from '../../../../faulty-http.ts';

/** A Keystone and a Swift in memory, which answer as the real ones were seen to. */
export interface FakeCloud extends FaultyHttp {
  /** What a member of the project sets. */
  readonly environment: NodeJS.ProcessEnv;
  /** By container, then name. */
  readonly containers: Map<string, Map<string, Buffer>>;
  /** Tokens that have been issued, the last one last. */
  readonly tokens: readonly string[];
  /** Ends all tokens issued so far: Swift does not take them any more. */
  endTokens(): void;
}

export interface FakeTraits {
  readonly tokenSeconds?: number;
  /** False: bulk deletes are not in the pipeline. */
  readonly bulk?: boolean;
  /** False: /info is kept to operators. */
  readonly info?: boolean;
  /** Rows in one answer of a listing. */
  readonly pageSize?: number;
  readonly catalogue?: (storageUrl: string) => unknown;
}

export const PASSWORD = 'correct-horse-battery';
export const SECRET = 'staple-of-the-application';
const ACCOUNT = '/v1/AUTH_fake';

/** Short pauses; long enough limits for a busy machine. */
export const QUICK: Patience = {
  ...{ connectMs: 20_000, continueMs: 20_000, silenceMs: 20_000, attemptMs: 60_000 },
  ...{ retries: 4, firstPauseMs: 1, longestPauseMs: 5 },
};

export const toKeystone: Match = ({ path }) => path.startsWith('/v3/');
export const toSwift: Match = ({ path }) => path.startsWith(ACCOUNT);
export const objectRequests =
  (method: string): Match =>
  (request) =>
    toSwift(request) && request.method === method && /^\/v1\/[^/]+\/[^/]+\/./.test(request.path);
export const listings: Match = (request) => toSwift(request) && request.path.includes('format=json');
export const bulkDeletes: Match = ({ path }) => path.includes('bulk-delete');

export async function openFakeCloud(traits: FakeTraits = {}): Promise<FakeCloud> {
  const containers: FakeCloud['containers'] = new Map();
  const tokens: string[] = [];
  const valid = new Set<string>();
  const front = await openFaultyHttp(({ ...request }) => {
    if (toKeystone(request)) return issue(request);
    if (request.path === '/info') return traits.info === false ? { status: 403 } : infoOf(traits);
    if (!toSwift(request)) return { status: 404 };
    return valid.has(String(request.headers['x-auth-token']))
      ? answerSwift(containers, traits, request)
      : { status: 401 };
  });
  const storageUrl = front.url + ACCOUNT;

  function issue({ body, method, path }: HttpRequest): HttpAnswer {
    if (method !== 'POST' || path !== '/v3/auth/tokens') return { status: 404 };
    const status = judgeLogin(JSON.parse(body.toString()));
    if (status !== 201)
      return { status, body: '{"error": {"message": "The request you have made requires authentication."}}' };
    const token = `token-${tokens.length + 1}`;
    tokens.push(token);
    valid.add(token);
    const ends = new Date(Date.now() + (traits.tokenSeconds ?? 3600) * 1000).toISOString();
    const catalog = (traits.catalogue ?? catalogueOf)(storageUrl);
    const answer = { token: { issued_at: new Date().toISOString(), expires_at: ends, catalog } };
    return { status, headers: { 'x-subject-token': token }, body: JSON.stringify(answer) };
  }

  const user = { OS_USERNAME: 'ekko', OS_PASSWORD: PASSWORD, OS_PROJECT_NAME: 'backups' };
  return {
    ...front,
    environment: { OS_AUTH_URL: front.url, ...user },
    ...{ containers, tokens },
    endTokens: () => valid.clear(),
  };
}

export function catalogueOf(storageUrl: string, region = 'RegionOne'): unknown {
  const endpoint = (kind: string, url: string) => ({ interface: kind, region, region_id: region, url });
  return [
    { type: 'identity', name: 'keystone', endpoints: [endpoint('public', 'http://identity.invalid/v3')] },
    {
      type: 'object-store',
      name: 'swift',
      endpoints: [endpoint('public', storageUrl), endpoint('internal', `${storageUrl}/`)],
    },
  ];
}

interface Login {
  readonly auth: {
    readonly identity: {
      readonly password?: { readonly user: { readonly name?: string; readonly password: string } };
      readonly application_credential?: { readonly id?: string; readonly name?: string; readonly secret: string };
    };
    readonly scope?: 'unscoped' | { readonly project: { readonly name?: string; readonly id?: string } };
  };
}

function judgeLogin({ auth: { identity, scope } }: Login): number {
  const credential = identity.application_credential;
  if (credential !== undefined) return credential.secret === SECRET && scope === undefined ? 201 : 401;
  if (identity.password?.user.password !== PASSWORD) return 401;
  if (scope === 'unscoped') return 201;
  return [scope?.project.name, scope?.project.id].some((each) => each === 'backups' || each === 'p1') ? 201 : 401;
}

function infoOf({ bulk }: FakeTraits): HttpAnswer {
  const bulkDelete = bulk === false ? {} : { bulk_delete: { max_deletes_per_request: 10_000 } };
  return { status: 200, body: JSON.stringify({ swift: { version: '2.30.1' }, ...bulkDelete }) };
}

function answerSwift(containers: FakeCloud['containers'], traits: FakeTraits, request: HttpRequest): HttpAnswer {
  const url = new URL(request.path, 'http://fake');
  const [container = '', ...rest] = url.pathname
    .slice(ACCOUNT.length + 1)
    .split('/')
    .map(decodeURIComponent);
  const name = rest.join('/');
  const objects = containers.get(container);
  if (url.searchParams.has('bulk-delete') && traits.bulk !== false)
    return bulkDelete(containers, request.body.toString());
  if (name === '' && request.method === 'PUT') {
    if (objects === undefined) containers.set(container, new Map());
    return { status: objects === undefined ? 201 : 202 };
  }
  if (objects === undefined) return { status: 404 };
  if (name !== '') return answerObject(objects, name, request);
  return request.method === 'POST' ? { status: 204 } : listPage(objects, url.searchParams, traits.pageSize ?? 10_000);
}

export const md5 = (body: Buffer) => createHash('md5').update(body).digest('hex');

function answerObject(objects: Map<string, Buffer>, name: string, { method, headers, body }: HttpRequest): HttpAnswer {
  const found = objects.get(name);
  if (method === 'PUT') {
    if (headers['if-none-match'] === '*' && found !== undefined) return { status: 412 };
    if (headers.etag !== md5(body)) return { status: 422 };
    objects.set(name, body);
    return { status: 201, headers: { etag: md5(body) } };
  }
  if (found === undefined) return { status: 404 };
  if (method === 'DELETE') return { status: objects.delete(name) ? 204 : 404 };
  if (method === 'HEAD') return { status: 200, headers: { etag: md5(found), 'content-length': String(found.length) } };
  return headers.range === undefined
    ? { status: 200, headers: { etag: md5(found) }, body: found }
    : partOf(found, headers.range);
}

function partOf(found: Buffer, header: string): HttpAnswer {
  const [, start = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(header) ?? [];
  const [from, end] = [Number(start), Math.min(Number(last) + 1, found.length)];
  if (from >= found.length) return { status: 416, headers: { 'content-range': `bytes */${found.length}` } };
  const range = `bytes ${from}-${end - 1}/${found.length}`;
  return { status: 206, headers: { 'content-range': range, etag: md5(found) }, body: found.subarray(from, end) };
}

function listPage(objects: Map<string, Buffer>, query: URLSearchParams, pageSize: number): HttpAnswer {
  const [prefix, marker] = [query.get('prefix') ?? '', query.get('marker') ?? ''];
  const all = [...objects.keys()].filter((name) => name.startsWith(prefix)).sort(inBytes);
  const names = all.filter((name) => inBytes(name, marker) > 0);
  const rows = names
    .slice(0, pageSize)
    .map((name) => ({ name, bytes: objects.get(name)?.length, content_type: 'a/b' }));
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(rows) };
}

function bulkDelete(containers: FakeCloud['containers'], text: string): HttpAnswer {
  const places = text.split('\n').map((line) => line.split('/').slice(1).map(decodeURIComponent));
  const deleted = places.filter(([container = '', ...name]) => containers.get(container)?.delete(name.join('/')));
  return bulkReport(deleted.length, places.length - deleted.length);
}

/** Swift orders names by their bytes. */
const inBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** As the service words it; blanks come first, to keep the connection busy. */
export function bulkReport(deleted: number, notFound: number, status = '200 OK', errors: unknown[] = []): HttpAnswer {
  const report = {
    'Number Not Found': notFound,
    'Response Status': status,
    Errors: errors,
    'Number Deleted': deleted,
    'Response Body': '',
  };
  return { status: 200, headers: { 'content-type': 'application/json' }, body: `\r\n\r\n${JSON.stringify(report)}` };
}

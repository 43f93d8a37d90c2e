import { createHash } from 'node:crypto';
import { failure } from './fake-s3.ts';
import type { Answerer, HttpAnswer, HttpRequest } from './faulty-http.ts';

/** What a store does that it should not, or does otherwise. By default it does as Ceph's RADOS Gateway 16.2 was seen to. */
export interface LockQuirks {
  /** It answers 200 to all that concerns locks, and locks nothing, as Swift's s3api does. */
  readonly lies?: boolean;
  /** Removal of many at once does not look at locks. */
  readonly bulkForgets?: boolean;
  /** A lock can be shortened. */
  readonly shortens?: boolean;
  /** The right to bypass governance is not given. */
  readonly noBypass?: boolean;
  /** `If-None-Match` is heeded, as by AWS. */
  readonly conditional?: boolean;
  /** What its clock says less what this machine's does, in milliseconds. */
  readonly clockMs?: number;
  /** Versions in one page of a listing. */
  readonly pageSize?: number;
}

interface Version {
  readonly id: string;
  /** Undefined: a delete marker. */
  readonly body: Buffer | undefined;
  mode?: string | undefined;
  until?: number | undefined;
  hold?: boolean;
}

export interface FakeLockS3 {
  readonly answer: Answerer;
  readonly bucket: string;
  /** Newest first. */
  readonly versions: Map<string, Version[]>;
}

const XML = { 'content-type': 'application/xml' };

/** A bucket with Object Lock in memory, which keeps versions. It believes every signature. */
export function openFakeLockS3(quirks: LockQuirks = {}, bucket = 'bucket'): FakeLockS3 {
  const versions = new Map<string, Version[]>();
  let ids = 0;
  const now = () => Date.now() + (quirks.clockMs ?? 0);
  const isLocked = ({ mode, until = 0, hold }: Version, bypass: boolean) =>
    hold === true || (until > now() && !(bypass && mode === 'GOVERNANCE' && quirks.noBypass !== true));
  const add = (key: string, version: Omit<Version, 'id'>): string => {
    const id = `v${String(++ids).padStart(6, '0')}`;
    versions.set(key, [{ id, ...version }, ...(versions.get(key) ?? [])]);
    return id;
  };
  const newest = (key: string) => versions.get(key)?.[0];

  function put({ headers, body }: HttpRequest, key: string): HttpAnswer {
    const digest = createHash('sha256').update(body).digest('hex');
    if (headers['x-amz-content-sha256'] !== digest) return failure(400, 'XAmzContentSHA256Mismatch');
    if (quirks.conditional === true && headers['if-none-match'] === '*' && newest(key)?.body !== undefined)
      return failure(412, 'PreconditionFailed');
    const mode = headers['x-amz-object-lock-mode'];
    // AWS refuses a lock without one.
    if (mode !== undefined && headers['x-amz-checksum-sha256'] === undefined) return failure(400, 'InvalidRequest');
    const until = Date.parse(String(headers['x-amz-object-lock-retain-until-date']));
    const lock = mode === undefined || quirks.lies === true ? {} : { mode: String(mode), until };
    const id = add(key, { body, ...lock });
    return { status: 200, headers: { etag: '"e"', 'x-amz-version-id': id } };
  }

  function get({ headers, method }: HttpRequest, key: string, id: string | null): HttpAnswer {
    const version = id === null ? newest(key) : versions.get(key)?.find((each) => each.id === id);
    if (version?.body === undefined) return failure(404, 'NoSuchKey');
    const common = {
      ...{ etag: '"e"', 'x-amz-version-id': version.id },
      ...(version.until === undefined
        ? {}
        : { 'x-amz-object-lock-retain-until-date': new Date(version.until).toISOString() }),
      ...(version.mode === undefined ? {} : { 'x-amz-object-lock-mode': version.mode }),
      ...(version.hold === true ? { 'x-amz-object-lock-legal-hold': 'ON' } : {}),
    };
    if (method === 'HEAD') return { status: 200, headers: common };
    const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []).map(Number);
    if (first === undefined || last === undefined) return { status: 200, headers: common, body: version.body };
    if (first >= version.body.length) return failure(416, 'InvalidRange');
    const end = Math.min(last + 1, version.body.length);
    const range = { 'content-range': `bytes ${first}-${end - 1}/${version.body.length}` };
    return { status: 206, headers: { ...common, ...range }, body: version.body.subarray(first, end) };
  }

  function retention({ body, method }: HttpRequest, key: string, id: string | null): HttpAnswer {
    const version = versions.get(key)?.find((each) => each.id === id);
    if (version === undefined) return failure(404, 'NoSuchVersion');
    if (method === 'GET') {
      if (version.mode === undefined || version.until === undefined)
        return failure(404, 'NoSuchObjectLockConfiguration');
      const until = new Date(version.until).toISOString();
      const said = `<Retention><Mode>${version.mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
      return { status: 200, headers: XML, body: said };
    }
    const until = Date.parse(/<RetainUntilDate>(.*)<\/RetainUntilDate>/.exec(body.toString())?.[1] ?? '');
    if (until < (version.until ?? 0) && quirks.shortens !== true) return failure(403, 'AccessDenied');
    const weaker = version.mode === 'COMPLIANCE' && body.includes('GOVERNANCE');
    if (weaker && quirks.shortens !== true) return failure(403, 'AccessDenied');
    if (quirks.lies !== true) Object.assign(version, { until, mode: /<Mode>(.*)<\/Mode>/.exec(body.toString())?.[1] });
    return { status: 200 };
  }

  /** False when a lock forbids it. */
  function removeVersion(key: string, id: string, bypass: boolean): boolean {
    const found = versions.get(key) ?? [];
    if (found.some((each) => each.id === id && isLocked(each, bypass))) return false;
    const left = found.filter((each) => each.id !== id);
    if (left.length === 0) versions.delete(key);
    else versions.set(key, left);
    return true;
  }

  function remove({ headers }: HttpRequest, key: string, id: string | null): HttpAnswer {
    if (id === null) add(key, { body: undefined });
    else if (!removeVersion(key, id, headers['x-amz-bypass-governance-retention'] === 'true'))
      return failure(403, 'AccessDenied');
    return { status: 204 };
  }

  function removeMany({ headers, body }: HttpRequest): HttpAnswer {
    const digest = createHash('md5').update(body).digest('base64');
    if (headers['content-md5'] !== digest) return failure(400, 'MissingContentMD5');
    const found = [...body.toString().matchAll(/<Key>([^<]*)<\/Key><VersionId>([^<]*)<\/VersionId>/g)];
    const entries = found.map(([, key = '', id = '']) => {
      if (quirks.bulkForgets === true)
        Object.assign(versions.get(key)?.find((each) => each.id === id) ?? {}, { until: 0 });
      const name = `<Key>${key}</Key><VersionId>${id}</VersionId>`;
      if (removeVersion(key, id, false)) return `<Deleted>${name}</Deleted>`;
      return `<Error>${name}<Code>AccessDenied</Code><Message>no</Message></Error>`;
    });
    return { status: 200, headers: XML, body: `<DeleteResult>${entries.join('')}</DeleteResult>` };
  }

  /** Like Ceph, it begins with the key of the marker itself where no version is named. */
  function listVersions(query: URLSearchParams): HttpAnswer {
    const [prefix, key, id] = ['prefix', 'key-marker', 'version-id-marker'].map((name) => query.get(name) ?? '');
    const all = [...versions.keys()].sort().flatMap((each) => {
      const list = versions.get(each) ?? [];
      return list.map((version, at) => ({ key: each, version, latest: at === 0 }));
    });
    const at = all.findIndex((each) => each.key === key && each.version.id === id);
    const rest = all.slice(at + 1).filter((each) => each.key.startsWith(prefix ?? '') && each.key >= (key ?? ''));
    const page = rest.slice(0, quirks.pageSize ?? 1000);
    const entries = page.map(({ key: name, version, latest }) => {
      const fields = `<Key>${name}</Key><VersionId>${version.id}</VersionId><IsLatest>${latest}</IsLatest>`;
      if (version.body === undefined) return `<DeleteMarker>${fields}</DeleteMarker>`;
      return `<Version>${fields}<Size>${version.body.length}</Size></Version>`;
    });
    const last = rest.length > page.length ? page.at(-1) : undefined;
    const next =
      last && `<NextKeyMarker>${last.key}</NextKeyMarker><NextVersionIdMarker>${last.version.id}</NextVersionIdMarker>`;
    const head = `<Name>${bucket}</Name><IsTruncated>${last !== undefined}</IsTruncated>${next ?? ''}`;
    return { status: 200, headers: XML, body: `<ListVersionsResult>${head}${entries.join('')}</ListVersionsResult>` };
  }

  function list(query: URLSearchParams): HttpAnswer {
    const [prefix = '', after = ''] = [query.get('prefix') ?? '', query.get('start-after') ?? ''];
    const keys = [...versions.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const shown = keys.flatMap((key) => {
      const body = newest(key)?.body;
      return body === undefined ? [] : [`<Contents><Key>${key}</Key><Size>${body.length}</Size></Contents>`];
    });
    const head = `<Name>${bucket}</Name><IsTruncated>false</IsTruncated>`;
    return { status: 200, headers: XML, body: `<ListBucketResult>${head}${shown.join('')}</ListBucketResult>` };
  }

  const answer = (request: HttpRequest): HttpAnswer => {
    const url = new URL(request.path, 'http://s3');
    const key = decodeURIComponent(url.pathname).slice(bucket.length + 2);
    const query = url.searchParams;
    const id = query.get('versionId');
    if (request.method === 'POST') return removeMany(request);
    if (query.has('versions')) return listVersions(query);
    if (query.has('retention')) return retention(request, key, id);
    if (request.method === 'PUT') return put(request, key);
    if (request.method === 'DELETE') return remove(request, key, id);
    return key === '' ? list(query) : get(request, key, id);
  };
  return {
    bucket,
    versions,
    answer: (request) => {
      const { headers, ...rest } = answer(request);
      return { ...rest, headers: { ...headers, date: new Date(now()).toUTCString() } };
    },
  };
}

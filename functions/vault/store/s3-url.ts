import { badUrl } from './bad-url.ts';

/** Where an S3 vault lies: `s3://bucket/prefix?endpoint=https://s3.example.org&region=RegionOne&path-style=true` */
export interface S3Place {
  readonly bucket: string;
  /** Folder below which all keys lie: empty, or ends in `/`. */
  readonly prefix: string;
  /** `http:` or `https:`, without a slash at its end; undefined: AWS itself. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** The bucket in the path of requests (`https://host/bucket/key`) instead of the host name. */
  readonly pathStyle: boolean;
  /** The same place in one spelling; opens the same store. */
  readonly url: string;
}

/** Of AWS, and `_`, which Ceph allows too. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/;
/** As keys are, and upper case. Leaves half of the 1,024 bytes that S3 allows to the vault's own keys. */
const PREFIX = /^(?!.*\/\/)(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/;
const LONGEST_PREFIX = 500;
const QUERY = ['endpoint', 'region', 'path-style'];

/** Reads an `s3:` URL. Throws `bad-input`, without showing what may be a password. */
export function readS3Url(text: string): S3Place {
  const { bucket, prefix, query } = partsOf(text);
  if (!BUCKET.test(bucket)) throw badUrl(text, 'a bucket has 3 to 63 of a-z 0-9 . _ -, as in s3://bucket/prefix');
  if (!PREFIX.test(prefix) || prefix.length > LONGEST_PREFIX)
    throw badUrl(text, `a prefix is at most ${LONGEST_PREFIX} of A-Z a-z 0-9 . _ - in folders that begin with no dot`);
  const endpoint = endpointOf(text, query.get('endpoint'));
  const region = query.get('region');
  if (region !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(region))
    throw badUrl(text, 'its region is not the name of one, as in region=us-east-1');
  const pathStyle = pathStyleOf(text, query.get('path-style'), endpoint !== undefined);
  const place = { bucket, prefix, endpoint, region, pathStyle };
  return { ...place, url: urlOf(place) };
}

function partsOf(text: string) {
  if (text.includes('@'))
    throw badUrl(text, 'it names a user, but credentials come from the environment (AWS_ACCESS_KEY_ID) or ~/.aws only');
  const found = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text);
  if (found === null) throw badUrl(text, 'an s3: URL is written as s3://bucket/prefix?endpoint=https://s3.example.org');
  const [, bucket = '', path = '', query = ''] = found;
  return { bucket, prefix: path === '' || path.endsWith('/') ? path : `${path}/`, query: queryOf(text, query) };
}

function queryOf(text: string, query: string): Map<string, string> {
  const given = [...new URLSearchParams(query)];
  const unknown = given.find(([name]) => !QUERY.includes(name));
  if (unknown !== undefined)
    throw badUrl(
      text,
      `${JSON.stringify(unknown[0].slice(0, 20))} in its query is unknown; ${QUERY.join(', ')} are known`,
    );
  const read = new Map(given);
  if (read.size < given.length) throw badUrl(text, 'something stands twice in its query');
  return read;
}

function endpointOf(text: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw badUrl(text, 'its endpoint must be an http: or https: URL, as in endpoint=https://s3.example.org');
  // A name or password has an @, which was refused before, but an encoded one is decoded only now.
  if (url.username !== '' || url.password !== '') throw badUrl(text, 'its endpoint names a user or a password');
  return url.href.replace(/\/+$/, '');
}

function pathStyleOf(text: string, given: string | undefined, ifMissing: boolean): boolean {
  if (given === undefined) return ifMissing;
  if (given === 'true' || given === 'false') return given === 'true';
  throw badUrl(text, 'its path-style must be true or false');
}

function urlOf({ bucket, prefix, endpoint, region, pathStyle }: Omit<S3Place, 'url'>): string {
  const query = Object.entries({
    endpoint,
    region,
    'path-style': pathStyle === (endpoint !== undefined) ? undefined : String(pathStyle),
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${readable(value)}`]));
  const path = prefix === '' ? '' : `/${prefix.slice(0, -1)}`;
  return `s3://${bucket}${path}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

/** Encoded as far as a query needs it. */
function readable(value: string): string {
  return encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/');
}

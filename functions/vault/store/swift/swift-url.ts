import { EkkoError } from '../../errors.ts';

/** Which of a service's addresses is meant: of the catalogue's interfaces. */
export type Interface = 'public' | 'internal' | 'admin';

/** What a `swift:` URL names. */
export interface SwiftPlace {
  readonly container: string;
  /** Stands before every key: empty, or ends in `/`. */
  readonly prefix: string;
  readonly region: string | undefined;
  readonly interface: Interface | undefined;
}

const LONGEST_CONTAINER = 256;
/** A name has 1,024 bytes in Swift, a key up to 512 of them. */
const LONGEST_PREFIX = 400;
const FORM = 'swift://container/prefix?region=NAME&interface=public';

/** Reads `swift://container[/prefix][?region=…&interface=…]`. Throws `bad-input` for anything else, credentials in it above all. */
export function readSwiftUrl(text: string): SwiftPlace {
  const url = parse(text);
  const query = readQuery(url.searchParams);
  const container = readPart(url.hostname);
  const path = url.pathname.replace(/^\//, '').replace(/\/$/, '');
  const prefix = path === '' ? '' : `${path.split('/').map(readPart).join('/')}/`;
  checkLength(container, LONGEST_CONTAINER, 'container');
  checkLength(prefix, LONGEST_PREFIX, 'prefix');
  return { container, prefix, ...query };
}

/** The URL of a place, for messages and records. */
export function swiftUrlOf({ container, prefix, region, interface: kind }: SwiftPlace): string {
  const query = new URLSearchParams({ ...(region && { region }), ...(kind && { interface: kind }) }).toString();
  const path = encodePath(`${container}/${prefix}`.replace(/\/$/, ''));
  return `swift://${path}${query && `?${query}`}`;
}

/** A name as it stands in the path of a request: all but `/` and unreserved letters by percent signs. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

/** Reads an interface, also as `publicURL`, as old clients write it. */
export function readInterface(text: string, from: string): Interface {
  const kind = text.replace(/URL$/, '');
  if (kind === 'public' || kind === 'internal' || kind === 'admin') return kind;
  throw new EkkoError('bad-input', `${from} is ${shown(text)}: public, internal or admin are interfaces.`);
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'swift:' || url.hostname === '')
    throw new EkkoError('bad-input', `Write a Swift vault as ${FORM}.`);
  if (url.username !== '' || url.password !== '') {
    throw new EkkoError('bad-input', `No credentials in URLs: OS_* variables or clouds.yaml have them. Write ${FORM}.`);
  }
  if (url.port === '' && url.hash === '') return url;
  throw new EkkoError(
    'bad-input',
    `A Swift URL has no port and no fragment: write ${FORM}, and ":" and "#" in names as %3A and %23.`,
  );
}

function readQuery(query: URLSearchParams): Pick<SwiftPlace, 'region' | 'interface'> {
  for (const key of query.keys()) {
    if (key !== 'region' && key !== 'interface') {
      throw new EkkoError('bad-input', `${shown(key)} is unknown in a Swift URL: region and interface may be given.`);
    }
    if (query.getAll(key).length > 1) throw new EkkoError('bad-input', `${key} is given twice in a Swift URL.`);
    if (query.get(key) === '') throw new EkkoError('bad-input', `${key} is empty in a Swift URL.`);
  }
  const kind = query.get('interface');
  return {
    region: query.get('region') ?? undefined,
    interface: kind === null ? undefined : readInterface(kind, 'The interface of a Swift URL'),
  };
}

/** Proxies on the way would resolve dots; an empty part would make a name of two slashes. */
function readPart(encoded: string): string {
  const part = decode(encoded);
  const isPlain = part !== undefined && part !== '' && part !== '.' && part !== '..' && !/[\p{Cc}/]/u.test(part);
  if (isPlain) return part;
  throw new EkkoError('bad-input', `${shown(encoded)} cannot be a part of a Swift URL: write ${FORM}.`);
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function checkLength(text: string, most: number, what: string): void {
  if (Buffer.byteLength(text) <= most) return;
  throw new EkkoError('bad-input', `The ${what} of a Swift URL has at most ${most} bytes.`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

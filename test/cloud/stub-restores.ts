import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

type Document = Record<string, unknown>;

export interface StubServer {
  readonly id: string;
  status: string;
  readonly asked: Document;
}
export interface StubVolume {
  readonly id: string;
  status: string;
  readonly asked: Document & { readonly metadata?: Record<string, string> };
}

/** What a test lets go wrong; each is read at each request. */
export interface RestoreFaults {
  /** The catalog refuses to begin. */
  refuse: boolean;
  /** No restore comes to its end. */
  slow: boolean;
  /** Restores fail. */
  failing: boolean;
  /** How often what was made is made, and the answer to it lost: `nova`, `cinder`. */
  readonly lost: Map<string, number>;
  /** Volumes come to nothing. */
  badVolumes: boolean;
  /** Servers come to nothing. */
  badServers: boolean;
  /** How often volumes cannot be deleted yet. */
  busyVolumes: number;
  /** Lists hold all that there is, whatever was asked for. */
  unfiltered: boolean;
}

/** What is answered to the requests that match (`GET /nova`) in place of an answer. */
export interface Nonsense {
  readonly matches: RegExp;
  readonly type: string;
  readonly body: string;
  readonly status: number;
}

/** A catalog that restores nothing, a Nova and a Cinder that make nothing; all keep in memory what they are told. */
export interface StubRestores {
  readonly url: string;
  readonly faults: RestoreFaults;
  /** By the point that is restored: many restores can be talked nonsense to at the same time. */
  readonly nonsense: Map<string, Nonsense>;
  /** Points of which nonsense was told. */
  readonly toldNonsense: Set<string>;
  /** By id. */
  readonly restores: Map<string, { readonly wish: Document; state: string; images: string }>;
  readonly servers: Map<string, StubServer>;
  readonly volumes: Map<string, StubVolume>;
  readonly requests: { readonly method: string; readonly path: string; readonly token: string }[];
  close(): void;
}

interface Stub extends StubRestores {
  /** Of which point a restore is. */
  readonly points: Map<string, string>;
}

export async function startStubRestores(): Promise<StubRestores> {
  const server = createServer((request, response) => void answer(stub, request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const stub: Stub = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    faults: {
      ...{ refuse: false, slow: false, failing: false, badVolumes: false, badServers: false, busyVolumes: 0 },
      unfiltered: false,
      lost: new Map(),
    },
    nonsense: new Map(),
    toldNonsense: new Set(),
    points: new Map(),
    restores: new Map(),
    servers: new Map(),
    volumes: new Map(),
    requests: [],
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return stub;
}

type Answer = readonly [status: number, document?: Document];
const missing: Answer = [404, { itemNotFound: { code: 404, message: 'It is not there.' } }];

async function answer(stub: Stub, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = Buffer.concat(await request.toArray()).toString();
  const { pathname, searchParams } = new URL(request.url ?? '/', stub.url);
  const method = request.method ?? '';
  stub.requests.push({ method, path: pathname, token: String(request.headers['x-auth-token'] ?? '') });
  const body = (text === '' || text === 'null' ? {} : JSON.parse(text)) as Document;
  const { lost } = stub.faults;
  const service = pathname.split('/')[1] ?? '';
  const point = pointOf(stub, pathname, body);
  const nonsense = stub.nonsense.get(point);
  if (nonsense?.matches.test(`${method} /${service}`)) {
    stub.toldNonsense.add(point);
    response.writeHead(nonsense.status, { 'content-type': nonsense.type }).end(nonsense.body);
    return;
  }
  const [status, document] = understood(request, service) ? route(stub, method, pathname, searchParams, body) : BAD;
  const times = lost.get(service) ?? 0;
  if (method === 'POST' && times > 0) {
    lost.set(service, times - 1);
    response.writeHead(504, { 'content-type': 'text/html' }).end('<html>');
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(document === undefined ? undefined : JSON.stringify(document));
}

/** Each path has the restore's id, but the one of the request that begins it, which tells its point. */
function pointOf({ points }: Stub, path: string, { id, point }: Document): string {
  if (typeof id === 'string' && typeof point === 'string') points.set(id, point);
  const restore = path.split('/').find((part) => points.has(part)) ?? String(id);
  return points.get(restore) ?? '';
}

const BAD: Answer = [400, { badRequest: { code: 400, message: 'The server could not comply with the request.' } }];
const KINDS: Readonly<Record<string, string>> = { nova: 'compute', cinder: 'volume' };

/** A Cinder that is told of a version of another service's alone refuses the call. */
function understood({ headers }: IncomingMessage, service: string): boolean {
  const kind = KINDS[service];
  return (
    kind === undefined ||
    String(headers['openstack-api-version'])
      .split(', ')
      .some((each) => each.startsWith(kind))
  );
}

function route(stub: Stub, method: string, path: string, query: URLSearchParams, body: Document): Answer {
  const [, service, within = '', ...names] = path.split('/');
  if (service === 'v1' && within === 'restores') return restoreAnswer(stub, method, names[0] ?? '', query, body);
  const [, name = ''] = names;
  if (service === 'nova') return novaAnswer(stub, method, name, query, body);
  if (service === 'cinder') return cinderAnswer(stub, method, name, query, body);
  return missing;
}

function restoreAnswer(stub: Stub, method: string, name: string, query: URLSearchParams, wish: Document): Answer {
  const { faults, restores } = stub;
  if (method === 'POST') {
    const { id } = wish as { id: string };
    if (faults.refuse) return [400, { status: 400, code: 'bad-input', detail: 'Give: flavor, networks.' }];
    if (!restores.has(id)) restores.set(id, { wish, state: 'copying', images: 'made' });
    return [202, shown(stub, id)];
  }
  const found = restores.get(name);
  if (found === undefined) return [404, { status: 404, code: 'not-found', detail: 'There is no such restore.' }];
  if (method === 'DELETE') {
    if (found.state === 'copying') found.state = 'cancelled';
    found.images = query.get('images') ?? 'unfinished';
  } else if (found.state === 'copying' && !faults.slow) found.state = faults.failing ? 'failed' : 'complete';
  return [200, shown(stub, name)];
}

/** Two disks of a server; one, where disks were named. */
function shown({ restores, url }: Stub, restore: string): Document {
  const { wish, state } = restores.get(restore) ?? { wish: {}, state: 'failed' };
  const { build, disks: named } = wish as { build?: { root?: string; name?: string }; disks?: string[] };
  const disks = (named ?? ['s/root', 's/data']).map((name, at) => {
    const becomes = build === undefined || (at === 0 && build.root === 'image') ? 'image' : 'volume';
    const metadata = { ekko_restore: restore, ekko_disk: name };
    const device = { boot_index: at === 0 ? 0 : -1, source_type: becomes };
    return {
      ...{ name, becomes, gib: 1, image: `image-${at}`, state: state === 'complete' ? 'complete' : 'failed' },
      volume: { name, size: 1, imageRef: `image-${at}`, metadata },
      ...(build === undefined ? {} : { device: becomes === 'image' ? { ...device, uuid: `image-${at}` } : device }),
      ...(state === 'failed' ? { problem: 'packs/ab is damaged. Bytes 0 to 9 of the disk cannot be read.' } : {}),
    };
  });
  const server = { name: build?.name ?? 'web-restored', flavorRef: '1', tags: [`ekko-restore-${restore}`] };
  return {
    ...{ restore, state, disks, endpoints: { nova: `${url}/nova/${restore}`, cinder: `${url}/cinder/${restore}` } },
    ...(build === undefined ? {} : { build: server }),
  };
}

function novaAnswer(
  { faults, servers }: Stub,
  method: string,
  id: string,
  query: URLSearchParams,
  body: Document,
): Answer {
  if (method === 'POST') {
    const { server } = body as { server: Document };
    if (server['flavorRef'] === 'none')
      return [400, { badRequest: { code: 400, message: 'Invalid flavorRef provided.' } }];
    const made = { id: randomUUID(), status: 'BUILD', asked: server };
    servers.set(made.id, made);
    return [202, { server: { id: made.id } }];
  }
  const has = ({ asked }: StubServer) => (asked['tags'] as string[]).includes(query.get('tags') ?? '');
  if (id === 'detail') {
    const found = [...servers.values()].filter((each) => faults.unfiltered || has(each));
    return [200, { servers: found.map((each) => ({ id: each.id, tags: each.asked['tags'] })) }];
  }
  const found = servers.get(id);
  if (found === undefined) return missing;
  if (method === 'DELETE') {
    servers.delete(id);
    return [204];
  }
  const fault = faults.badServers ? { fault: { message: 'No valid host was found.' } } : {};
  const status = found.status;
  found.status = faults.badServers ? 'ERROR' : 'ACTIVE';
  return [200, { server: { id, status, ...(status === 'ERROR' ? fault : {}) } }];
}

function cinderAnswer(stub: Stub, method: string, id: string, query: URLSearchParams, body: Document): Answer {
  const { faults, volumes } = stub;
  if (method === 'POST') {
    const { volume } = body as { volume: StubVolume['asked'] };
    const made = { id: randomUUID(), status: 'downloading', asked: volume };
    volumes.set(made.id, made);
    return [202, { volume: { id: made.id } }];
  }
  if (id === 'detail') {
    const wanted = JSON.parse(query.get('metadata') ?? '{}') as Record<string, string>;
    const has = ({ asked }: StubVolume) =>
      Object.entries(wanted).every(([name, value]) => asked.metadata?.[name] === value);
    const found = [...volumes.values()].filter((each) => faults.unfiltered || has(each));
    return [200, { volumes: found.map((each) => ({ id: each.id, metadata: each.asked.metadata })) }];
  }
  const found = volumes.get(id);
  if (found === undefined) return missing;
  if (method === 'DELETE') {
    if (faults.busyVolumes-- > 0)
      return [400, { badRequest: { code: 400, message: 'Volume status must be available.' } }];
    volumes.delete(id);
    return [202];
  }
  const { status } = found;
  found.status = faults.badVolumes ? 'error' : 'available';
  return [200, { volume: { id, status } }];
}

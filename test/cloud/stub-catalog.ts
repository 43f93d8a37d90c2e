import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A policy, a vault or a run as the catalog's API shows it. */
export type Document = Record<string, unknown>;

export interface StubRun {
  readonly run: string;
  /** The caller's id. */
  readonly request: string;
  readonly policy: string;
  readonly reason: string;
  state: 'started' | 'exporting' | 'staged' | 'committed' | 'failed' | 'abandoned';
  readonly members: { server: string; name: string; state: string; problem?: string }[];
}

/** What a test lets go wrong; each is read at each request. */
export interface Faults {
  /** Every answer is 503. */
  down: boolean;
  /** Servers' names -> how often their export fails yet. */
  readonly failing: Map<string, number>;
  /** How often runs are told that their images are not stored yet. */
  images: number;
  /** No export ends. */
  slow: boolean;
  /** What comes of calls that copy: `busy` once, `failed`. */
  readonly copies: string[];
  /** No scheduled run is due. */
  notDue: boolean;
  /** Instead of an answer to requests whose method and path match. */
  nonsense?: { readonly matches: RegExp; readonly body: string; readonly type: string; readonly status: number };
}

export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly body: Document;
}

/** An Ekko catalog that speaks the contract, keeps what it is told in memory, and backs nothing up. */
export interface StubCatalog {
  readonly url: string;
  readonly faults: Faults;
  readonly servers: string[];
  readonly vaults: Map<string, Document>;
  readonly policies: Map<string, Document>;
  readonly runs: Map<string, StubRun>;
  readonly copies: Document[];
  readonly requests: StubRequest[];
  /** Tokens that have ended. */
  readonly refused: Set<string>;
  close(): void;
}

/** `onAsked` is told of each request before it is answered. */
export async function startStubCatalog(onAsked: (asked: StubRequest) => void = () => undefined): Promise<StubCatalog> {
  const server = createServer((request, response) => void answer(stub, request, response, onAsked));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const stub: StubCatalog = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    faults: { down: false, failing: new Map(), images: 0, slow: false, notDue: false, copies: [] },
    servers: ['web-1', 'web-2'],
    vaults: new Map(),
    policies: new Map(),
    runs: new Map(),
    copies: [],
    requests: [],
    refused: new Set(),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return stub;
}

async function answer(
  stub: StubCatalog,
  request: IncomingMessage,
  response: ServerResponse,
  onAsked: (asked: StubRequest) => void,
): Promise<void> {
  const text = Buffer.concat(await request.toArray()).toString();
  const { pathname } = new URL(request.url ?? '/', stub.url);
  const token = String(request.headers['x-auth-token'] ?? '');
  const body = (text === '' ? {} : JSON.parse(text)) as Document;
  const asked = { method: request.method ?? '', path: pathname, token, body };
  stub.requests.push(asked);
  onAsked(asked);
  const { nonsense } = stub.faults;
  if (nonsense?.matches.test(`${asked.method} ${asked.path}`)) {
    response.writeHead(nonsense.status, { 'content-type': nonsense.type }).end(nonsense.body);
    return;
  }
  const [status, document] = stub.faults.down ? problem(503, 'busy') : route(stub, asked);
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(status === 204 ? undefined : JSON.stringify(document));
}

type Answer = readonly [status: number, document: Document];

const problem = (status: number, code: string, more: Document = {}): Answer => [
  status,
  { status, code, detail: `It is so: ${code}.`, ...more },
];

function route(stub: StubCatalog, { method, path, token, body }: StubRequest): Answer {
  if (path === '/healthcheck') return [200, { status: 'ok' }];
  // Webhooks.
  if (!path.startsWith('/v1/')) return [200, {}];
  if (token === '' || stub.refused.has(token)) return problem(401, 'token-refused');
  if (path === '/v1/exporters') return [200, { exporters: [] }];
  if (path === '/v1/policies') return [200, { policies: overdueIn(stub) }];
  const [, kind = '', name = '', what = ''] =
    /^\/v1\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?(?:\/([^/]+))?$/.exec(path) ?? [];
  if (path.includes('/copies')) return copies(stub, method, name, body);
  if (kind === 'vaults' && what === 'upkeep') return stub.vaults.has(name) ? upkeep(method) : missing;
  if (kind === 'vaults') return keep(stub.vaults, method, name, body, { message: 'Its data stays.' });
  if (kind === 'policies') return policyAnswer(stub, method, name, body);
  if (kind === 'runs' && name === '') return startRun(stub, body);
  const run = kind === 'runs' ? findRun(stub, name) : undefined;
  return run === undefined ? missing : runAnswer(stub, run, method, what, body);
}

/** Of which a test says so. */
const overdueIn = ({ policies }: StubCatalog): Document[] =>
  [...policies].flatMap(([policy, definition]) => ('overdue' in definition ? [{ ...definition, policy }] : []));

/** By its own id, or the caller's. */
function findRun({ runs }: StubCatalog, name: string): StubRun | undefined {
  return runs.get(name) ?? [...runs.values()].find(({ request }) => request === name);
}

const missing = problem(404, 'not-found');

/** A copy is done at the second look; `faults.copies` are what the next ones come to. */
function copies(stub: StubCatalog, method: string, vault: string, body: Document): Answer {
  const { copies: coming } = stub.faults;
  if (method === 'POST' && coming[0] === 'busy') return problem(409, String(coming.shift()));
  if (method === 'POST') stub.copies.push({ copy: `c${stub.copies.length}`, vault, ...body, state: 'running' });
  const last = stub.copies.at(-1) ?? {};
  const shown = { ...last };
  if (method === 'GET') Object.assign(last, coming.shift() === 'failed' ? FAILED : { state: 'done' });
  return [method === 'POST' ? 202 : 200, shown];
}

const FAILED = { state: 'failed', problem: 'The other vault is full.' };

const upkeep = (method: string): Answer => [
  method === 'POST' ? 202 : 200,
  { upkeep: 'u', state: method === 'POST' ? 'running' : 'done' },
];

function keep(all: Map<string, Document>, method: string, name: string, body: Document, gone: Document): Answer {
  const found = all.get(name);
  if (method === 'PUT') {
    all.set(name, { ...body });
    return [found === undefined ? 201 : 200, { ...body, name }];
  }
  if (found === undefined) return missing;
  if (method === 'DELETE') all.delete(name);
  return [200, method === 'DELETE' ? gone : { ...found, name }];
}

function policyAnswer(stub: StubCatalog, method: string, name: string, body: Document): Answer {
  const { schedule } = body as { schedule?: { cron: string } };
  if (schedule?.cron.startsWith('99')) return problem(400, 'bad-input');
  const [status, definition] = keep(stub.policies, method, name, body, {});
  if (status >= 400) return [status, definition];
  if (method === 'DELETE') return [200, { policy: name, message: 'Its restore points stay.' }];
  const { schedule: kept } = stub.policies.get(name) as { schedule?: { cron: string } };
  const times = kept === undefined ? {} : { nextRun: '2030-01-01T03:05:00.000Z', trigger: kept.cron };
  const open = [...stub.runs.values()].find((run) => run.policy === name && isOpen(run));
  const running = open === undefined ? {} : { openRun: open.request };
  return [status, { ...stub.policies.get(name), policy: name, ...times, ...running }];
}

function startRun(stub: StubCatalog, body: Document): Answer {
  const { policy = '', id = '', reason = '' } = body as { policy?: string; id?: string; reason?: string };
  if (!stub.policies.has(policy)) return missing;
  const runs = [...stub.runs.values()];
  const same = runs.find(({ request }) => request === id);
  if (same !== undefined) return [200, { ...same }];
  if (reason === 'schedule' && stub.faults.notDue) return [200, { state: 'not-due', policy }];
  const open = runs.find((run) => run.policy === policy && isOpen(run));
  if (open !== undefined) return problem(409, 'run-under-way', { run: open.request });
  const members = stub.servers.map((name, at) => ({ server: `server-${at}`, name, state: 'prepared' }));
  const { vault } = stub.policies.get(policy) ?? {};
  const run = `20261121-120000-${String(stub.runs.size).padStart(6, '0')}`;
  const started: StubRun = { run, request: id, policy, reason, state: 'started', members };
  stub.runs.set(run, started);
  const images = stub.faults.images > 0 ? 'storing' : 'ready';
  return [201, { ...started, ...asideOf(stub.policies.get(policy) ?? {}), vault, warnings: [], images }];
}

/** What the policy wants besides, as the catalog says it. */
function asideOf({ hooks, copyTo }: Document): Document {
  const times = (Array.isArray(hooks) ? hooks : []).map(({ when }) => when).filter((when) => when !== 'failed');
  return { hooks: [...new Set(times)], ...(copyTo ? { copyTo: (copyTo as Document)['vault'] } : {}) };
}

const isOpen = ({ state }: StubRun) => state !== 'committed' && state !== 'abandoned';

function runAnswer(stub: StubCatalog, run: StubRun, method: string, what: string, body: Document): Answer {
  if (method === 'DELETE') {
    run.state = 'abandoned';
    return [200, { ...run }];
  }
  if (what === 'commit') return commit(run, body);
  if (!isOpen(run)) return method === 'GET' ? [200, { ...run }] : problem(409, 'run-ended');
  if (what === 'images') return [200, { state: stub.faults.images-- > 0 ? 'storing' : 'ready', images: [] }];
  if (what === 'moment' || what === 'retry') {
    for (const member of run.members) if (member.state !== 'staged') member.state = 'exporting';
    run.state = 'exporting';
    return [200, { run: run.run, state: run.state, windowMs: 12 }];
  }
  if (!stub.faults.slow && run.state === 'exporting') endExports(stub, run);
  return [200, { ...run }];
}

function endExports(stub: StubCatalog, run: StubRun): void {
  for (const member of run.members.filter(({ state }) => state === 'exporting')) {
    const times = stub.faults.failing.get(member.name) ?? 0;
    stub.faults.failing.set(member.name, times - 1);
    member.state = times > 0 ? 'failed' : 'staged';
    if (times > 0) member.problem = 'the disk went away';
    else delete member.problem;
  }
  run.state = run.members.every(({ state }) => state === 'staged') ? 'staged' : 'failed';
}

function commit(run: StubRun, { partial }: Document): Answer {
  if (run.state === 'committed') return [200, { point: run.run }];
  if (!isOpen(run)) return problem(409, 'run-ended');
  if (run.state !== 'staged' && partial !== true) return problem(409, 'run-incomplete');
  run.state = 'committed';
  return [200, { point: run.run }];
}

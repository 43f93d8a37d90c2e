import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { EkkoError } from '#vault/errors.ts';
import { asObject, type JsonObject } from '../qemu/json-value.ts';
import { ApiError, problemOf, toApiError } from './api-error.ts';

/** A request as a route sees it. */
export interface ApiRequest {
  /** Of `X-Auth-Token`. */
  readonly token: string | undefined;
  /** The JSON object of the body; empty where there is none. */
  readonly body: JsonObject;
  /** The part of the path that the route calls `:name`. */
  part(name: string): string;
  query(name: string): string | undefined;
}

/** `path` as URLPattern has it. What `handle` resolves to is the answer's JSON; what it throws, a problem. */
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly handle: (request: ApiRequest) => Promise<object>;
}

export interface ServerPlace {
  readonly address: string;
  readonly port: number;
  /** PEM; plain HTTP without. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
}

const LARGEST_BODY = 64 * 1024;
const MOST_CONNECTIONS = 500;
const RUN_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Serves the routes; resolves when it listens. `log` hears of unexpected errors. */
export async function startServer(
  routes: readonly Route[],
  { address, port, tls }: ServerPlace,
  log: (message: string) => void,
): Promise<Server> {
  const table = routes.map((route) => ({ ...route, pattern: new URLPattern({ pathname: route.path }) }));
  const listener: RequestListener = (incoming, outgoing) => {
    answer(table, incoming).then(
      (body) => send(outgoing, 200, 'application/json', body),
      (error: unknown) => {
        const refusal = toApiError(error);
        if (refusal.status === 500)
          log(`${incoming.method} ${pathOf(incoming)}: ${error instanceof Error ? error.stack : error}`);
        send(outgoing, refusal.status, 'application/problem+json', problemOf(refusal));
      },
    );
  };
  const limits = { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 60_000, maxHeaderSize: 32 * 1024 };
  const server = tls
    ? createHttpsServer({ ...limits, ...tls, minVersion: 'TLSv1.2' }, listener)
    : createHttpServer(limits, listener);
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new EkkoError('bad-input', `Cannot listen on ${address}:${port}: ${cause.message}`, { cause })),
    );
    server.listen(port, address, resolve);
  });
  return server;
}

type Table = readonly (Route & { readonly pattern: URLPattern })[];

async function answer(table: Table, incoming: IncomingMessage): Promise<object> {
  const url = new URL(`http://localhost${pathOf(incoming)}`);
  const fitting = table.flatMap((route) => {
    const parts = route.pattern.exec(url)?.pathname.groups;
    return parts === undefined ? [] : [{ route, parts }];
  });
  if (fitting.length === 0) throw new ApiError(404, 'not-found', 'There is nothing at this path.');
  const found = fitting.find(({ route }) => route.method === incoming.method);
  if (found === undefined) throw new ApiError(405, 'method-not-allowed', `${incoming.method} is not for this path.`);
  const token = incoming.headers['x-auth-token'];
  const body = await readBody(incoming);
  return found.route.handle({
    ...{ token: typeof token === 'string' ? token : undefined, body },
    part: (name) => checkPart(found.parts[name]),
    query: (name) => url.searchParams.get(name) ?? undefined,
  });
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.startsWith('/') ? url : '/';
}

/** Parts become names of files and of bitmaps. */
function checkPart(part: string | undefined): string {
  if (part !== undefined && RUN_ID.test(part) && !part.startsWith('.')) return part;
  throw new ApiError(404, 'not-found', 'There is nothing at this path.');
}

async function readBody(incoming: IncomingMessage): Promise<JsonObject> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LARGEST_BODY) throw new ApiError(413, 'too-large', `A body has at most ${LARGEST_BODY} bytes.`);
    pieces.push(piece);
  }
  if (length === 0) return {};
  try {
    return asObject(JSON.parse(Buffer.concat(pieces).toString('utf8')), 'the body');
  } catch {
    throw new ApiError(400, 'bad-input', 'The body is no JSON object.');
  }
}

function send(outgoing: ServerResponse, status: number, type: string, body: object): void {
  const text = JSON.stringify(body);
  outgoing.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  outgoing.end(text);
}

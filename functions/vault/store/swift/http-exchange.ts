import { type AgentOptions, Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Patience } from './patience.ts';
import { receiveBody } from './receive-body.ts';
import { type OutgoingRequest, sendBody } from './send-body.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as one, in order, without being joined. */
  readonly body?: readonly Uint8Array[];
  /** Bytes that the body of an answer may have. */
  readonly most: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** All of it, and no more than `most`. */
  readonly body: Buffer;
}

/**
 * Sends a request and receives the whole answer. Rejects when it breaks off, takes too long or is too large (`TooLongAnswer`).
 * Follows no redirection, repeats nothing.
 */
export type Exchange = (request: HttpRequest) => Promise<HttpAnswer>;

/** The connection had been kept from an earlier request, and ended before it brought an answer to this one. */
export class StaleConnection extends Error {}

const CONNECTIONS = 64;
/** Servers keep a connection for a minute or so; ours goes first, so that no request is sent into one that is being closed. */
const KEEP_MS = 15_000;

/** Exchanges over kept connections, and over the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY of `environment` name. */
export function openExchange(patience: Patience, environment: NodeJS.ProcessEnv): Exchange {
  const { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy } = environment;
  const proxyEnv = { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy };
  const options: AgentOptions = {
    ...{ keepAlive: true, maxSockets: CONNECTIONS, scheduling: 'lifo', timeout: KEEP_MS },
    proxyEnv,
  };
  const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) };
  return (request) => exchange(agents, patience, request);
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

function exchange(agents: Agents, patience: Patience, request: HttpRequest): Promise<HttpAnswer> {
  const signal = AbortSignal.timeout(patience.attemptMs);
  return new Promise((resolve, reject) => {
    const outgoing = openRequest(agents, request, { timeout: patience.silenceMs, signal });
    let answered = false;
    const fail = (error: Error) => {
      outgoing.destroy();
      reject(signal.aborted ? new Error(`it took longer than ${seconds(patience.attemptMs)}`) : error);
    };
    outgoing.on('error', (error) => {
      const isStale = !answered && outgoing.reusedSocket && isCut(error);
      if (isStale) closeKept(agents);
      fail(isStale ? new StaleConnection() : error);
    });
    watchTime(outgoing, patience, fail);
    outgoing.once('response', (incoming) => {
      answered = true;
      receiveBody(incoming, request).then((body) => {
        // Whoever answers before it has all of a body may wait for the rest, or close the connection.
        if (!outgoing.writableFinished) outgoing.destroy();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
      }, fail);
    });
    sendBody(outgoing, request.body ?? [], patience);
  });
}

function openRequest(
  agents: Agents,
  { url, method, headers, body }: HttpRequest,
  options: { timeout: number; signal: AbortSignal },
): OutgoingRequest {
  const length = body?.reduce((sum, piece) => sum + piece.length, 0);
  const all = { ...options, method, headers: { ...headers, ...(body && { 'content-length': String(length) }) } };
  if (new URL(url).protocol === 'https:') return httpsRequest(url, { ...all, agent: agents.https });
  return httpRequest(url, { ...all, agent: agents.http });
}

function watchTime(outgoing: OutgoingRequest, { connectMs, silenceMs }: Patience, fail: (error: Error) => void): void {
  outgoing.once('timeout', () => fail(new Error(`nothing came for ${seconds(silenceMs)}`)));
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => fail(new Error(`no connection within ${seconds(connectMs)}`)), connectMs);
    for (const event of ['connect', 'close']) socket.once(event, () => clearTimeout(timer));
  });
}

/** The others that were kept have hardly fared better. */
function closeKept({ http, https }: Agents): void {
  const kept = [http, https].flatMap(({ freeSockets }) => Object.values(freeSockets)).flat();
  for (const socket of kept) socket?.destroy();
}

const seconds = (milliseconds: number) => `${milliseconds / 1000} s`;

function isCut(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

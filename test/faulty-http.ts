import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

/** A request as it came; bodies are small enough to be held whole. */
export interface HttpRequest {
  readonly method: string;
  /** With the query, as sent: still encoded. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** 1 for the first request of this front. */
  readonly number: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** `content-length` is set from the body. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Buffer | string;
}

/** A server in memory. */
export type Answerer = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** How a request ends: an answer, one that breaks off after a share of its body, a connection reset, or silence until `close`. */
export type Ending = HttpAnswer | BrokenAnswer | 'reset' | 'silence';

interface BrokenAnswer extends HttpAnswer {
  /** Bytes of the body that are sent, less than its content-length says; then the connection is reset, or falls silent. */
  readonly sent: number;
  readonly then: 'reset' | 'silence';
}

/** What is done to one request. `forward` lets the upstream act on it (at most once) and gives its answer. */
export type Fault = (forward: () => Promise<HttpAnswer>, request: HttpRequest) => Ending | Promise<Ending>;

/** Which fault, if any, befalls a request. */
export type Plan = (request: HttpRequest) => Fault | undefined;

export interface FaultyHttp {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** All that have come, in order. */
  readonly requests: readonly HttpRequest[];
  /** From now on. */
  misbehave(plan: Plan): void;
  close(): Promise<void>;
}

/**
 * A server on the loopback before `upstream` (the origin of a real one, `http://127.0.0.1:8080`, or one in memory), which treats
 * requests as `plan` says and passes all others through. The headers stay as they came, so that signatures hold.
 */
export async function openFaultyHttp(upstream: string | Answerer, plan: Plan = () => undefined): Promise<FaultyHttp> {
  const answer = typeof upstream === 'string' ? (request: HttpRequest) => passOn(upstream, request) : upstream;
  const requests: HttpRequest[] = [];
  let current = plan;

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming;
    const number = requests.length + 1;
    const slot: HttpRequest = { method, path, headers, body: Buffer.alloc(0), number };
    requests.push(slot);
    const request = { ...slot, body: await buffer(incoming) };
    requests[number - 1] = request;
    const fault = current(request);
    const forward = async () => answer(request);
    end(incoming, response, await (fault === undefined ? forward() : fault(forward, request)));
  }

  const server = createServer((incoming, response) => {
    // A client that went away is no fault of ours; a fault in the plan must not hang the test.
    serve(incoming, response).catch((error: unknown) => {
      if (!incoming.socket.destroyed) end(incoming, response, { status: 599, body: `Test server: ${String(error)}` });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    misbehave: (next) => {
      current = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function end(incoming: IncomingMessage, response: ServerResponse, ending: Ending): void {
  if (ending === 'silence') return;
  if (ending === 'reset') return void incoming.socket.resetAndDestroy();
  const body = Buffer.from(ending.body ?? '');
  const bodiless = incoming.method === 'HEAD' || ending.status === 204 || ending.status === 304;
  // A real upstream tells the length of what it does not send.
  const length = bodiless && body.length === 0 ? {} : { 'content-length': body.length };
  response.writeHead(ending.status, { ...length, ...ending.headers } as Record<string, string>);
  if (!('sent' in ending)) return void response.end(bodiless ? undefined : body);
  response.write(body.subarray(0, ending.sent), () => {
    // The reset may overtake what was just sent unless it has time to leave.
    if (ending.then === 'reset') setTimeout(() => incoming.socket.destroy(), 20);
  });
}

const OF_THE_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'expect', 'content-length'];

function passOn(origin: string, { method, path, headers, body }: HttpRequest): Promise<HttpAnswer> {
  const { hostname, port } = new URL(origin);
  const kept = withoutThose(headers);
  return new Promise((resolve, reject) => {
    const outgoing = send({ hostname, port, method, path, agent: false });
    for (const [name, value] of Object.entries(kept)) outgoing.setHeader(name, value);
    if (body.length > 0 || headers['content-length'] !== undefined) outgoing.setHeader('content-length', body.length);
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      const answered = { status: incoming.statusCode ?? 0, headers: withoutThose(incoming.headers) };
      // An answer to HEAD tells the length of a body that does not come.
      if (method === 'HEAD' && incoming.headers['content-length'] !== undefined)
        answered.headers['content-length'] = incoming.headers['content-length'];
      buffer(incoming).then((whole) => resolve({ ...answered, body: whole }), reject);
    });
    outgoing.end(body);
  });
}

function withoutThose(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(
    ([name, value]) => value !== undefined && !OF_THE_CONNECTION.includes(name),
  );
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

/** Answers by itself; the upstream never hears of the request. */
export const answering =
  (status: number, body: Buffer | string = '', headers: HttpAnswer['headers'] = {}): Fault =>
  () => ({ status, headers, body });

/** A proxy's page, where an object or a listing must come. */
export const htmlPage = (status = 200): Fault =>
  answering(status, '<!DOCTYPE html><html><body><h1>Welcome</h1>Please log in.</body></html>', {
    'content-type': 'text/html',
  });

/** The connection breaks before the upstream has heard of the request. */
export const resetBefore: Fault = () => 'reset';

/** The upstream has done it, but the answer is lost. */
export const resetAfter: Fault = async (forward): Promise<Ending> => {
  await forward();
  return 'reset';
};

/** No answer, as long as the client waits; the upstream never hears of it. */
export const silence: Fault = () => 'silence';

/** Right, but only after `milliseconds`. */
export const late =
  (milliseconds: number): Fault =>
  async (forward) => {
    await pause(milliseconds);
    return forward();
  };

/** Half the body of the upstream's answer, then the connection breaks or falls silent. */
export const half =
  (then: 'reset' | 'silence' = 'reset'): Fault =>
  async (forward) => {
    const answer = await forward();
    return { ...answer, sent: Math.floor(Buffer.from(answer.body ?? '').length / 2), then };
  };

/** The upstream's answer, changed: another object's body, a listing out of order, … */
export const changed =
  (change: (answer: HttpAnswer & { readonly text: string }) => HttpAnswer): Fault =>
  async (forward) => {
    const answer = await forward();
    return change({ ...answer, text: Buffer.from(answer.body ?? '').toString() });
  };

/** True for the requests that a plan means. */
export type Match = (request: HttpRequest) => boolean;

/** `fault` for every request that matches. */
export const always =
  (fault: Fault, match: Match = () => true): Plan =>
  (request) =>
    match(request) ? fault : undefined;

/** `fault` for the first `count` requests that match, then none. */
export function first(count: number, fault: Fault, match: Match = () => true): Plan {
  let left = count;
  return (request) => (match(request) && left-- > 0 ? fault : undefined);
}

/** The first of the plans that has a fault. */
export const either =
  (...plans: readonly Plan[]): Plan =>
  (request) => {
    for (const plan of plans) {
      const fault = plan(request);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };

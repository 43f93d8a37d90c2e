import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { EkkoError } from '#vault/errors.ts';
import { eventOf, type HttpEvent, type HttpResult, sendResult, TooLarge } from './http-event.ts';

/** Serves HTTP by a function that takes API Gateway events: what runs behind API Gateway runs here as it is. */
export interface HttpServer {
  /** Where it listens. */
  readonly port: number;
  /** Lets requests under way end, for at most `graceMs`; new ones are refused. */
  close(graceMs: number): Promise<void>;
}

export interface HttpServerSettings {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly tls?: { readonly certificate: Buffer; readonly key: Buffer };
  readonly handler: (event: HttpEvent) => Promise<HttpResult>;
  readonly log: (line: string) => void;
}

const LARGEST_BODY = 1024 ** 2;
/** Slow clients hold no connection for longer. */
const REQUEST_TIMEOUT_MS = 60_000;
const MOST_CONNECTIONS = 2000;

/** Resolves once it listens. Throws `bad-input` where the address cannot be had or the certificate cannot be used. */
export async function openHttpServer(settings: HttpServerSettings): Promise<HttpServer> {
  const server = newServer(settings, (request, response) => void serve(settings, request, response));
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MOST_CONNECTIONS;
  const { host, port } = settings.listen;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new EkkoError('bad-input', `Nothing can listen on ${host}:${port}: ${cause.message}.`, { cause })),
    );
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs) => closeServer(server, graceMs),
  };
}

function newServer(
  { tls }: HttpServerSettings,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  if (tls === undefined) return createServer(serve);
  try {
    return createTlsServer({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }, serve);
  } catch (cause) {
    throw new EkkoError(
      'bad-input',
      'The TLS certificate and key cannot be used. Give PEM files that belong together.',
      {
        cause,
      },
    );
  }
}

async function serve(
  { handler, log }: HttpServerSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    sendResult(response, await handler(await eventOf(request, randomUUID(), LARGEST_BODY)));
  } catch (error) {
    if (error instanceof TooLarge)
      return refuse(response, 413, 'too-large', `A request has at most ${LARGEST_BODY} bytes.`);
    log(`A request failed: ${error instanceof Error ? error.message : String(error)}`);
    refuse(response, 500, 'unexpected', 'The service failed; its log says why.');
  }
}

function refuse(response: ServerResponse, status: number, code: string, detail: string): void {
  if (response.headersSent) return void response.destroy();
  // The rest of the request is not wanted.
  const headers = { 'content-type': 'application/problem+json', connection: 'close' };
  sendResult(response, { statusCode: status, headers, body: JSON.stringify({ status, code, detail }) });
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

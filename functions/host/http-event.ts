import type { IncomingMessage, ServerResponse } from 'node:http';

/** An API Gateway event of payload version 2, as far as routers look at it. */
export interface HttpEvent {
  readonly version: '2.0';
  readonly routeKey: '$default';
  readonly rawPath: string;
  readonly rawQueryString: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestContext: {
    readonly http: { readonly method: string; readonly path: string; readonly sourceIp: string };
    readonly domainName: string;
    readonly requestId: string;
  };
  readonly body: string | undefined;
  readonly isBase64Encoded: false;
}

/** What a handler answers such an event with. */
export interface HttpResult {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/** The request has more bytes than it may have; it was not read to its end. */
export class TooLarge extends Error {}

/** The event that a request stands for; its body is read up to `most` bytes. Throws `TooLarge`. */
export async function eventOf(request: IncomingMessage, requestId: string, most: number): Promise<HttpEvent> {
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  const method = request.method ?? 'GET';
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path.startsWith('/') ? path : '/',
    rawQueryString: query,
    headers: headersOf(request),
    requestContext: {
      http: { method, path, sourceIp: request.socket.remoteAddress ?? '' },
      domainName: 'localhost',
      requestId,
    },
    body: method === 'GET' || method === 'HEAD' ? undefined : await readBody(request, most),
    isBase64Encoded: false,
  };
}

/** The host and the scheme that the client names decide nothing, and may be neither. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const entries = Object.entries({ ...headers, host: 'localhost', 'x-forwarded-proto': 'https' });
  return Object.fromEntries(
    entries.flatMap(([name, value]) => {
      if (value === undefined) return [];
      return [[name, Array.isArray(value) ? value.join(', ') : value]];
    }),
  );
}

async function readBody(request: IncomingMessage, most: number): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > most) throw new TooLarge();
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > most) throw new TooLarge();
    pieces.push(piece);
  }
  return size === 0 ? undefined : Buffer.concat(pieces).toString('utf8');
}

/** Sends what the handler answered. */
export function sendResult(
  response: ServerResponse,
  { statusCode, headers = {}, body = '', isBase64Encoded }: HttpResult,
): void {
  const bytes = Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8');
  response.writeHead(statusCode, { ...stringsOf(headers), 'content-length': String(bytes.length) });
  response.end(bytes);
}

function stringsOf(headers: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

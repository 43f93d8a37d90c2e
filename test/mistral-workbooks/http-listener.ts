import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HeardRequest {
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A program of a tenant's own: it hears what is posted to it, and answers as its path says. */
export interface HttpListener {
  readonly url: string;
  readonly heard: HeardRequest[];
  close(): void;
}

/** `/500/…` is answered with that status, `/302/…` leads to `/moved`, `/mute/…` is never answered, any other path with 200. */
export async function openHttpListener(onHeard: (path: string) => void = () => undefined): Promise<HttpListener> {
  const heard: HeardRequest[] = [];
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    const path = request.url ?? '';
    heard.push({ path, body: text === '' ? undefined : JSON.parse(text), headers: request.headers });
    onHeard(path);
    if (path.startsWith('/mute/')) return;
    const status = Number(/^\/(\d{3})\//.exec(path)?.[1] ?? 200);
    response.writeHead(status, status === 302 ? { location: '/moved' } : {}).end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a TCP server that loses answers. */
export interface CuttingProxy {
  readonly port: number;
  /** The next request with these bytes still reaches the server; its answer and the connection are lost. */
  cutAfter(words: string): void;
  /** How often it cut. */
  cuts(): number;
  close(): Promise<void>;
}

/** Listens on the loopback for one server there. */
export async function openCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  let words: string | undefined;
  let cuts = 0;
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    let doomed = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      if (words !== undefined && bytes.includes(words)) {
        doomed = true;
        words = undefined;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!doomed) client.write(bytes);
      else {
        cuts++;
        // The server has answered: what was asked of it is done.
        client.destroy();
        upstream.destroy();
      }
    });
    client.on('end', () => upstream.end());
    upstream.on('end', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cutAfter: (next) => {
      words = next;
    },
    cuts: () => cuts,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

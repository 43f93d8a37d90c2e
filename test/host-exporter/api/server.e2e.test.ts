import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startServer } from '../../../host-exporter/api/server.ts';
import { makeCertificate } from '../../cloud/certificate.ts';

test('with a certificate it speaks TLS, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-'));
  const files = await makeCertificate(folder);
  const [cert, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
  const route = { method: 'GET', path: '/healthcheck', handle: async () => ({ status: 'up' }) };
  const server: Server = await startServer(
    [route],
    { address: '127.0.0.1', port: 0, tls: { cert, key } },
    () => undefined,
  );
  const { port } = server.address() as AddressInfo;
  try {
    const status = await new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', servername: 'localhost', port, path: '/healthcheck', ca: cert };
      request(options, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
    await expect(fetch(`http://127.0.0.1:${port}/healthcheck`)).rejects.toThrow();
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  }
});

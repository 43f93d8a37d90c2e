import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { catalogueOf, type FakeCloud, openFakeCloud, QUICK } from './fake-cloud.ts';

const run = promisify(execFile);
let folder: string;
let cloud: FakeCloud;
let server: Server;
let environment: NodeJS.ProcessEnv;

/** A certificate that signs itself, for the loopback. */
async function makeCertificate(): Promise<{ key: string; cert: string; file: string }> {
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'ca.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const name = ['-subj', '/CN=cloud', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await run('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', file]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(file, 'utf8'), file };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-tls-'));
  const { key, cert, file } = await makeCertificate();
  const port = () => (server.address() as { port: number }).port;
  cloud = await openFakeCloud({ catalogue: () => catalogueOf(`https://127.0.0.1:${port()}/v1/AUTH_fake`) });
  server = createServer({ key, cert }, (incoming, response) => {
    const { method, url, headers } = incoming;
    const outgoing = request(cloud.url + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(outgoing);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  environment = { ...cloud.environment, OS_AUTH_URL: `https://127.0.0.1:${port()}`, OS_CACERT: file };
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await cloud.close();
  await rm(folder, { recursive: true });
});

test('a certificate of an unknown authority is refused, with what to do', async () => {
  const store = await openSwiftStore('swift://backups', { ...environment, OS_CACERT: '' }, QUICK);
  await expect(store.get('a')).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('OS_CACERT'),
  });
});

test('a file without certificates is no authority', async () => {
  const file = join(folder, 'empty.pem');
  await writeFile(file, 'hunter2');
  const open = openSwiftStore('swift://backups', { ...environment, OS_CACERT: file }, QUICK);
  await expect(open).rejects.toMatchObject({ code: 'bad-input', message: expect.not.stringContaining('hunter2') });
});

test('an authority of OS_CACERT is trusted for tokens, containers and objects', async () => {
  const store = await openSwiftStore('swift://backups', environment, QUICK);
  const large = Buffer.alloc(1_000_000, 'x');
  expect(await store.create('a', [large])).toBe('created');
  expect((await store.get('a')).equals(large)).toBe(true);
});

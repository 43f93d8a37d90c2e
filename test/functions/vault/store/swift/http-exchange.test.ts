import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { openExchange, StaleConnection } from '#vault/store/swift/http-exchange.ts';
import { openFaultyHttp } from '../../../../faulty-http.ts';
import { QUICK } from './fake-cloud.ts';

const MIB = 1024 * 1024;
const closers: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

const get = { method: 'GET', headers: {}, most: MIB } as const;
const put = { method: 'PUT', headers: {}, most: MIB } as const;
const ok: RequestListener = (request, response) =>
  void buffer(request).then((body) => response.end(String(body.length)));

test('pieces arrive as one body of a length told beforehand', async () => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    buffer(request).then((body) => {
      seen.push(request.headers['content-length'], request.headers['transfer-encoding'], body.toString());
      response.end();
    });
  });
  const url = await listen(server);
  const exchange = openExchange(QUICK, {});
  await exchange({
    ...put,
    url,
    body: [Buffer.from('one'), new Uint8Array(0), new Uint8Array([9]), Buffer.from('two')],
  });
  await exchange({ ...put, url, body: [] });
  expect(seen).toEqual(['7', undefined, 'one\x09two', '0', undefined, '']);
});

test('a large body is sent when the server wants it, and not when it refuses', async () => {
  let received = 0;
  const server = createServer(ok);
  server.on('checkContinue', (request, response) => {
    request.on('data', (piece: Buffer) => {
      received += piece.length;
    });
    if (request.url === '/refuse') response.writeHead(412).end('taken');
    else {
      response.writeContinue();
      ok(request, response);
    }
  });
  const url = await listen(server);
  const exchange = openExchange(QUICK, {});
  const body = [Buffer.alloc(3 * MIB), Buffer.alloc(MIB)];
  expect(await exchange({ ...put, url: `${url}/refuse`, body })).toMatchObject({
    status: 412,
    body: Buffer.from('taken'),
  });
  expect(received).toBe(0);
  expect(String((await exchange({ ...put, url, body })).body)).toBe(String(4 * MIB));
  expect(received).toBe(4 * MIB);
});

test('a server that does not know the question gets a large body all the same', async () => {
  const server = createServer(ok);
  // Says nothing to the question.
  server.on('checkContinue', ok);
  const exchange = openExchange({ ...QUICK, continueMs: 5 }, {});
  const answer = await exchange({ ...put, url: await listen(server), body: [Buffer.alloc(MIB)] });
  expect(String(answer.body)).toBe(String(MIB));
});

test('an answer before the end of the body counts', async () => {
  const server = createServer((_, response) => response.writeHead(413, { connection: 'close' }).end('full'));
  const answer = await openExchange(QUICK, {})({ ...put, url: await listen(server), body: [Buffer.alloc(200 * 1024)] });
  expect(answer.status).toBe(413);
});

test.each([
  ['of a length that is told', { 'content-length': '9' }],
  ['in chunks', { 'transfer-encoding': 'chunked' }],
])('an answer %s is received whole', async (_, headers) => {
  const server = createServer((_, response) => {
    response.writeHead(200, headers);
    response.write('one');
    response.end(' twoas');
  });
  const { body } = await openExchange(QUICK, {})({ ...get, url: await listen(server) });
  expect(String(body)).toBe('one twoas');
  expect(body.buffer.byteLength).toBe(9);
});

test.each([
  ['told', { 'content-length': String(MIB + 1) }],
  ['not told', { 'transfer-encoding': 'chunked' }],
])('a longer answer than is taken, %s beforehand, is not kept', async (_, headers) => {
  const server = createServer((_, response) => response.writeHead(200, headers).end(Buffer.alloc(MIB + 1)));
  await expect(openExchange(QUICK, {})({ ...get, url: await listen(server) })).rejects.toThrow(/the answer is .*long/);
});

test('an answer to HEAD tells of a length that does not come', async () => {
  const server = createServer((_, response) => response.writeHead(200, { 'content-length': '5000000000' }).end());
  const { headers, body } = await openExchange(
    QUICK,
    {},
  )({ ...get, method: 'HEAD', most: 0, url: await listen(server) });
  expect([headers['content-length'], body.length]).toEqual(['5000000000', 0]);
});

/** A server that says the same to everybody, then closes the connection. */
function blunt(text: string): Promise<string> {
  return listen(
    createTcpServer((socket: Socket) => void socket.on('error', () => {}).once('data', () => socket.end(text))),
  );
}

test.each([
  ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
  ['half a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf'],
  ['no last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ['half a header', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nhalf!'],
  ['nothing', ''],
])('%s is no answer', async (_, text) => {
  await expect(openExchange(QUICK, {})({ ...get, url: await blunt(text) })).rejects.toThrow();
});

test('a kept connection that the server has closed is told from a server that is away', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    if (requests++ === 0) response.end();
    else request.socket.destroy();
  });
  const url = await listen(server);
  const exchange = openExchange(QUICK, {});
  await exchange({ ...get, url });
  await expect(exchange({ ...get, url })).rejects.toBeInstanceOf(StaleConnection);
  const failure = await exchange({ ...get, url }).catch((error: unknown) => error);
  expect(failure).not.toBeInstanceOf(StaleConnection);
  expect(failure).toMatchObject({ code: 'ECONNRESET' });
});

test('when one kept connection turns out to be closed, no other is tried', async () => {
  const met = new Set<unknown>();
  let [waiting, requests]: [(() => void)[], number] = [[], 0];
  const server = createServer((request, response) => {
    requests++;
    if (met.has(request.socket)) return void request.socket.destroy();
    met.add(request.socket);
    waiting.push(() => response.end());
    if (requests < 10) return;
    for (const answer of waiting.splice(0)) answer();
  });
  const url = await listen(server);
  const exchange = openExchange(QUICK, {});
  await Promise.all(Array.from({ length: 10 }, () => exchange({ ...get, url })));
  await expect(exchange({ ...get, url })).rejects.toBeInstanceOf(StaleConnection);
  waiting = [];
  expect((await exchange({ ...get, url })).status).toBe(200);
  expect(requests).toBe(12);
});

test('who drips bytes for ever is cut off', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    const timer = setInterval(() => response.write('x'), 5);
    response.once('close', () => clearInterval(timer));
  });
  const exchange = openExchange({ ...QUICK, attemptMs: 80 }, {});
  await expect(exchange({ ...get, url: await listen(server) })).rejects.toThrow('it took longer than 0.08 s');
});

test('a proxy of the environment is used', async () => {
  const proxy = await openFaultyHttp(({ path }) => ({ status: 200, body: `through: ${path}` }));
  closers.push(() => proxy.close());
  const exchange = openExchange(QUICK, { HTTP_PROXY: proxy.url, NO_PROXY: '127.0.0.1' });
  expect(String((await exchange({ ...get, url: 'http://swift.invalid/v1/a' })).body)).toBe(
    'through: http://swift.invalid/v1/a',
  );
  expect(String((await exchange({ ...get, url: `${proxy.url}/direct` })).body)).toBe('through: /direct');
});

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { upload } from '../../../../functions/catalog/cloud/upload.ts';

const PIECE = 1024 ** 2;
const MOST = 1000;

let end = async () => {};
afterEach(() => end());

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  end = () =>
    new Promise((done) => {
      server.closeAllConnections();
      server.close(() => done());
    });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;
}

/** Puts so many pieces to a service. */
function put(url: string, pieces: number, signal = new AbortController().signal) {
  const made = { pieces: 0 };
  async function* content() {
    for (; made.pieces < pieces; made.pieces++) yield Buffer.alloc(PIECE, made.pieces & 255);
  }
  const answer = upload({
    ...{ service: 'Glance', url, headers: { 'x-auth-token': 'token' }, signal },
    ...{ length: pieces * PIECE, content: content() },
  });
  return { made, answer };
}

test('a body arrives whole, also where the service is slower than the sender', async () => {
  let received = 0;
  const url = await serve(async (request, response) => {
    for await (const piece of request as AsyncIterable<Buffer>) {
      received += piece.length;
      if (received % (4 * PIECE) < piece.length) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    response.writeHead(204).end();
  });
  expect((await put(url, 16).answer).status).toBe(204);
  expect(received).toBe(16 * PIECE);
});

test('an answer that comes before the end ends the sending', async () => {
  const url = await serve((request, response) => {
    request.once('data', () => {
      request.pause();
      response.writeHead(413, { 'content-type': 'application/json' }).end('{"message":"too large"}');
    });
  });
  const { made, answer } = put(url, MOST);
  expect(await answer).toMatchObject({ status: 413, body: { message: 'too large' } });
  expect(made.pieces).toBeLessThan(MOST);
});

test('a line that breaks while the sender waits for room is said to have broken', async () => {
  const url = await serve((request) => {
    request.once('data', () => {
      request.pause();
      setTimeout(() => request.destroy(), 50);
    });
  });
  await expect(put(url, MOST).answer).rejects.toMatchObject({
    code: 'cloud-failed',
    message: expect.stringContaining('Glance broke off'),
  });
});

test('the signal ends an upload that waits for room, with its reason', async () => {
  const enough = new AbortController();
  const reason = new Error('enough');
  const url = await serve((request) => {
    request.once('data', () => {
      request.pause();
      enough.abort(reason);
    });
  });
  await expect(put(url, MOST, enough.signal).answer).rejects.toBe(reason);
});

import { request as send } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import {
  always,
  answering,
  changed,
  either,
  type FaultyHttp,
  first,
  type HttpRequest,
  half,
  openFaultyHttp,
  type Plan,
  resetAfter,
  resetBefore,
  silence,
} from './faulty-http.ts';

const open: FaultyHttp[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

const acted: string[] = [];
const answerer = ({ method, path, body }: HttpRequest) => {
  acted.push(`${method} ${path}`);
  return { status: 200, headers: { 'x-acted': 'yes' }, body: `${path}:${body.toString()}` };
};

/** A faulty front before a front without faults, as before a real server. */
async function front(plan?: Plan): Promise<FaultyHttp> {
  const upstream = await openFaultyHttp(answerer);
  const faulty = await openFaultyHttp(upstream.url, plan);
  open.push(upstream, faulty);
  acted.length = 0;
  return faulty;
}

interface Answered {
  readonly status: number | undefined;
  readonly acted: unknown;
  readonly length: string | undefined;
  readonly body: string;
}

function ask(url: string, method = 'GET', body = ''): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { method, agent: false }, (incoming) => {
      const { statusCode: status, headers } = incoming;
      buffer(incoming).then(
        (whole) =>
          resolve({ status, acted: headers['x-acted'], length: headers['content-length'], body: whole.toString() }),
        reject,
      );
    });
    outgoing.once('error', reject).end(body);
  });
}

test('without a fault a front is invisible', async () => {
  const { url, requests } = await front();
  expect(await ask(`${url}/a%20b?c=d`, 'PUT', 'hello')).toEqual({
    status: 200,
    acted: 'yes',
    length: '16',
    body: '/a%20b?c=d:hello',
  });
  expect((await ask(`${url}/h`, 'HEAD')).length).toBe('3');
  expect(requests.map(({ number, method, body }) => [number, method, body.toString()])).toEqual([
    [1, 'PUT', 'hello'],
    [2, 'HEAD', ''],
  ]);
});

test('a status is answered without the upstream', async () => {
  const { url } = await front(first(1, answering(503, 'busy', { 'retry-after': '1' })));
  expect(await ask(url)).toMatchObject({ status: 503, body: 'busy' });
  expect(acted).toEqual([]);
  expect(await ask(url)).toMatchObject({ status: 200 });
});

test('a reset before is unknown to the upstream, a reset after is not', async () => {
  const plan = either(
    first(1, resetBefore, ({ path }) => path === '/before'),
    first(1, resetAfter),
  );
  const { url } = await front(plan);
  await expect(ask(`${url}/before`)).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(acted).toEqual([]);
  await expect(ask(`${url}/after`)).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(acted).toEqual(['GET /after']);
});

test('half a body says that it is whole, and breaks off', async () => {
  const { url } = await front(always(half()));
  await expect(ask(url)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a silent server says nothing until it is closed', async () => {
  const faulty = await front(always(silence));
  const asked = ask(faulty.url).catch((error: unknown) => error);
  await expect.poll(() => faulty.requests.length).toBe(1);
  await faulty.close();
  expect(await asked).toMatchObject({ code: 'ECONNRESET' });
  expect(acted).toEqual([]);
});

test('an answer can be changed, and the plan too', async () => {
  const faulty = await front(always(changed(({ text, ...answer }) => ({ ...answer, body: text.toUpperCase() }))));
  expect(await ask(`${faulty.url}/ab`)).toMatchObject({ status: 200, acted: 'yes', body: '/AB:' });
  faulty.misbehave(() => undefined);
  expect(await ask(`${faulty.url}/ab`)).toMatchObject({ body: '/ab:' });
});

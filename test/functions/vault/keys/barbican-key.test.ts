import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  barbicanKeyProvider,
  type KeyManager,
  removeStoredIdentity,
  storeNewIdentity,
} from '#vault/keys/barbican-key.ts';

/** Answers as Barbican 15 does, and badly when told to. */
const SECRET = '0d3dd8a5-a5a7-4c3a-9b0e-5f5f3a1f8a10';
const TOKEN = 'gAAAAA-the-secret-token';
const secrets = new Map<string, string>();
const seen: { method: string; path: string; token: string }[] = [];
let answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
let manager: KeyManager;
let close: () => Promise<void>;

beforeEach(async () => {
  secrets.clear();
  seen.length = 0;
  answer = undefined;
  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  manager = { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: () => TOKEN };
  close = () => new Promise((resolve) => void server.close(() => resolve()).closeAllConnections());
});
afterEach(() => close());

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url: path = '' } = request;
  seen.push({ method, path, token: String(request.headers['x-auth-token']) });
  if (answer?.(request, response)) return;
  if (method === 'POST') {
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString()) as { payload: string };
    secrets.set(SECRET, body.payload);
    response.writeHead(201).end(JSON.stringify({ secret_ref: `http://somewhere.else/v1/secrets/${SECRET}` }));
    return;
  }
  const id = path.split('/')[3] ?? '';
  const payload = secrets.get(id);
  if (payload === undefined) response.writeHead(404).end('{"code": 404}');
  else if (method === 'DELETE') {
    secrets.delete(id);
    response.writeHead(204).end();
  } else response.writeHead(200, { 'content-type': 'text/plain' }).end(payload);
}

test('a key that was stored comes back as the same identity, asked of the endpoint given and with the token given', async () => {
  const { identity, secret } = await storeNewIdentity(manager, 'ekko vault shop');
  expect(secret).toBe(SECRET);
  const again = await barbicanKeyProvider(manager, secret).identity([]);
  expect(again.publicKey.equals(identity.publicKey)).toBe(true);
  expect(again.privateKey.equals(identity.privateKey)).toBe(true);
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'POST /v1/secrets',
    `GET /v1/secrets/${SECRET}/payload`,
    `GET /v1/secrets/${SECRET}/payload`,
  ]);
  expect(new Set(seen.map(({ token }) => token))).toEqual(new Set([TOKEN]));
});

test('what Barbican keeps is the text of a key file', async () => {
  await storeNewIdentity(manager, 'x');
  expect(secrets.get(SECRET)).toMatch(/^# Ekko key file[\s\S]*\nekko-key-1:[\w-]{43}\n$/);
});

test.each([
  'x',
  '../../v1/orders',
  `${SECRET}/`,
  SECRET.toUpperCase(),
  'http://elsewhere/v1/secrets/0d3dd8a5-a5a7-4c3a-9b0e-5f5f3a1f8a10',
])('%s is no secret, and nothing is asked', async (secret) => {
  expect(() => barbicanKeyProvider(manager, secret)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  await expect(removeStoredIdentity(manager, secret)).rejects.toMatchObject({ code: 'bad-input' });
  expect(seen).toEqual([]);
});

test.each([
  [401, 'wrong-key', /the token has ended/],
  [403, 'wrong-key', /role of the token/],
  [404, 'wrong-key', /no such secret/],
  [413, 'store-failed', /quota/],
  [400, 'store-failed', /400/],
])('%i becomes %s in words that hold nothing secret', async (status, code, words) => {
  answer = (_, response) => {
    response.writeHead(status).end(`what you sent was ${TOKEN}`);
    return true;
  };
  const error: unknown = await barbicanKeyProvider(manager, SECRET)
    .identity([])
    .catch((found: unknown) => found);
  expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
  expect(inspect(error, { depth: 9 })).not.toContain(TOKEN);
  expect(seen).toHaveLength(1);
});

test('a Barbican that fails for a moment is asked again', async () => {
  secrets.set(SECRET, (await keyText()) ?? '');
  seen.length = 0;
  answer = (_, response) => {
    if (seen.length > 2) return false;
    if (seen.length === 1) response.writeHead(503).end('<html>');
    else response.destroy();
    return true;
  };
  await barbicanKeyProvider(manager, SECRET).identity([]);
  expect(seen).toHaveLength(3);
});

async function keyText(): Promise<string | undefined> {
  await storeNewIdentity(manager, 'x');
  return secrets.get(SECRET);
}

test('an answer without end, and a secret that is something else, are no keys', async () => {
  secrets.set(SECRET, 'x'.repeat(1_000_000));
  await expect(barbicanKeyProvider(manager, SECRET).identity([])).rejects.toMatchObject({ code: 'bad-format' });
  secrets.set(SECRET, 'open sesame');
  const error: unknown = await barbicanKeyProvider(manager, SECRET)
    .identity([])
    .catch((found: unknown) => found);
  expect(error).toMatchObject({ code: 'bad-format', message: expect.stringContaining(`Barbican secret ${SECRET}`) });
  expect(inspect(error)).not.toContain('sesame');
});

test('a redirection is not followed: the token goes nowhere else', async () => {
  answer = (_, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:9/v1/secrets' }).end();
    return true;
  };
  await expect(barbicanKeyProvider(manager, SECRET).identity([])).rejects.toMatchObject({ code: 'store-failed' });
});

test('a key that Barbican does not give back as it was given is not taken', async () => {
  answer = (request, response) => {
    if (request.method !== 'GET') return false;
    response.end(`ekko-key-1:${'A'.repeat(42)}E`);
    return true;
  };
  await expect(storeNewIdentity(manager, 'x')).rejects.toMatchObject({ code: 'store-failed' });
});

test('a secret that is gone already counts as removed', async () => {
  await storeNewIdentity(manager, 'x');
  await removeStoredIdentity(manager, SECRET);
  await removeStoredIdentity(manager, SECRET);
  expect(secrets.size).toBe(0);
});

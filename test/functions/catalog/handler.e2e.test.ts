import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { bundlePath } from '../../../functions/host/bundles.ts';
import { checkAnswer } from './api-contract.ts';
import { type FakeCloud, openFakeCloud } from './fake-cloud.ts';
import { settingsFor } from './lab.ts';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly body?: string;
  readonly base64?: boolean;
}

const ADDRESS = '203.0.113.7';
const HOST = 'abc123.execute-api.eu-central-1.amazonaws.com';
const headersOf = ({ token }: Call) => ({
  ...{
    accept: '*/*',
    'content-type': 'application/json',
    host: HOST,
    'x-forwarded-proto': 'https',
    'x-forwarded-for': ADDRESS,
  },
  ...(token === undefined ? {} : { 'x-auth-token': token }),
});
const bodyOf = ({ body, base64 = false }: Call) => ({
  body: body === undefined ? null : base64 ? Buffer.from(body).toString('base64') : body,
  isBase64Encoded: base64,
});

/** An event of a REST API, as the proxy integration hands it on: names of headers as the client wrote them. */
function restEvent(call: Call) {
  const { method: httpMethod, path, query = {} } = call;
  const headers = Object.fromEntries(
    Object.entries(headersOf(call)).map(([name, value]) => [name.replace(/(^|-)\w/g, (x) => x.toUpperCase()), value]),
  );
  const many = (values: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, [value]]));
  return {
    ...{ resource: '/{proxy+}', path, httpMethod, headers, multiValueHeaders: many(headers) },
    queryStringParameters: Object.keys(query).length === 0 ? null : query,
    multiValueQueryStringParameters: Object.keys(query).length === 0 ? null : many(query),
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
    requestContext: {
      ...{ resourceId: 'q1w2e3', resourcePath: '/{proxy+}', httpMethod, path: `/prod${path}`, stage: 'prod' },
      ...{ accountId: '123456789012', protocol: 'HTTP/1.1', requestId: 'c6af9ac6', apiId: 'abc123', domainName: HOST },
      identity: { sourceIp: ADDRESS, userAgent: 'curl/8', accessKey: null, user: null },
      ...{ requestTime: '21/Nov/2026:16:00:00 +0000', requestTimeEpoch: 1_795_276_800_000, domainPrefix: 'abc123' },
    },
    ...bodyOf(call),
  };
}

/** An event of an HTTP API, payload version 2.0. */
function httpEvent(call: Call, stage = '$default') {
  const { method, query = {} } = call;
  const rawPath = stage === '$default' ? call.path : `/${stage}${call.path}`;
  const { body, isBase64Encoded } = bodyOf(call);
  return {
    ...{ version: '2.0', routeKey: '$default', rawPath, rawQueryString: new URLSearchParams(query).toString() },
    headers: headersOf(call),
    ...(Object.keys(query).length === 0 ? {} : { queryStringParameters: query }),
    requestContext: {
      ...{ accountId: '123456789012', apiId: 'abc123', domainName: HOST, domainPrefix: 'abc123' },
      http: { method, path: rawPath, protocol: 'HTTP/1.1', sourceIp: ADDRESS, userAgent: 'curl/8' },
      ...{
        requestId: 'JKJaXmPLvHcESHA=',
        routeKey: '$default',
        stage,
        time: '21/Nov/2026:16:00:00 +0000',
        timeEpoch: 1,
      },
    },
    ...(body === null ? {} : { body }),
    isBase64Encoded,
  };
}

const FORMS: readonly (readonly [string, (call: Call) => unknown])[] = [
  ['a REST API', restEvent],
  ['an HTTP API', (call) => httpEvent(call)],
  ['an HTTP API with a stage', (call) => httpEvent(call, 'prod')],
];
const CONTEXT = { functionName: 'ekko-catalog', awsRequestId: 'c6af9ac6', getRemainingTimeInMillis: () => 30_000 };

let folder: string;
let cloud: FakeCloud;
let handler: (event: unknown, context: unknown) => Promise<{ statusCode: number; headers?: object; body?: string }>;

/** The very bundle that is deployed. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-catalog-'));
  cloud = await openFakeCloud();
  const expiresAt = Date.now() + 3_600_000;
  cloud.tokens.set('alice', { project: 'a', roles: ['member'], expiresAt });
  cloud.tokens.set('reader', { project: 'a', roles: ['reader'], expiresAt });
  cloud.tokens.set('exporter', { project: 'services', roles: ['service'], expiresAt });
  const settings = settingsFor(cloud, 'https://ekko.example.org');
  await writeFile(join(folder, 'serve.yaml'), stringify({ ...settings, registry: `file:${folder}/registry` }), {
    mode: 0o600,
  });
  vi.stubEnv('EKKO_SETTINGS', join(folder, 'missing.yaml'));
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
  ({ handler } = (await import(bundlePath('catalog'))) as { handler: typeof handler });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await cloud.close();
  await rm(folder, { recursive: true });
});

test('settings that are not there fail the call, and not the ones after it', async () => {
  await expect(handler(restEvent({ method: 'GET', path: '/healthcheck' }), CONTEXT)).rejects.toThrow(/cannot be read/);
  vi.stubEnv('EKKO_SETTINGS', join(folder, 'serve.yaml'));
  expect((await handler(restEvent({ method: 'GET', path: '/healthcheck' }), CONTEXT)).statusCode).toBe(200);
});

describe.each(FORMS)('behind %s', (_, eventOf) => {
  beforeAll(() => void vi.stubEnv('EKKO_SETTINGS', join(folder, 'serve.yaml')));

  async function call(given: Call) {
    const { statusCode, headers = {}, body = '' } = await handler(eventOf(given), CONTEXT);
    const parsed: unknown = body === '' ? undefined : JSON.parse(body);
    const type = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
    checkAnswer(given.method, given.path, statusCode, String(type), parsed);
    return { status: statusCode, body: parsed as Record<string, unknown> };
  }

  test('what needs no token is answered, what needs one asks for it, and what there is not is not found', async () => {
    expect((await call({ method: 'GET', path: '/v1' })).body).toMatchObject({ name: expect.any(String) });
    expect(await call({ method: 'GET', path: '/v1/vaults' })).toMatchObject({
      status: 401,
      body: { code: 'token-refused' },
    });
    expect(await call({ method: 'GET', path: '/v1/nothing' })).toMatchObject({
      status: 404,
      body: { code: 'not-found' },
    });
  });

  test('tokens, queries, paths and bodies come through, plain and in base64', async () => {
    expect((await call({ method: 'GET', path: '/v1/vaults', token: 'reader' })).body).toEqual({ vaults: [] });
    const query = { limit: '0' };
    expect((await call({ method: 'GET', path: '/v1/vaults', token: 'reader', query })).status).toBe(400);
    for (const base64 of [false, true]) {
      const body = JSON.stringify({ url: `http://127.0.0.1:${base64 ? 1 : 2}` });
      const put = { method: 'PUT', path: '/v1/exporters/c1', token: 'exporter', body, base64 };
      expect((await call(put)).body).toMatchObject({ host: 'c1', url: JSON.parse(body).url });
    }
    const policy = {
      method: 'PUT',
      path: '/v1/policies/shop',
      token: 'alice',
      body: '{"vault": "main", "members": {}}',
    };
    expect(await call(policy)).toMatchObject({ status: 400, body: { code: 'bad-input' } });
    expect(await call({ ...policy, body: '{' })).toMatchObject({
      status: 400,
      body: { detail: 'The body is not JSON.' },
    });
    expect(await call({ ...policy, token: 'reader' })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });
});

import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/** As API Gateway sends it (payload version 1), as far as the router looks at it. */
function request(method: string, path: string) {
  return {
    httpMethod: method,
    path,
    resource: path,
    headers: { 'content-type': 'application/json', host: 'localhost' },
    multiValueHeaders: {},
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    pathParameters: null,
    stageVariables: null,
    requestContext: { httpMethod: method, path, domainName: 'localhost' },
    body: null,
    isBase64Encoded: false,
  };
}

beforeAll(() => {
  vi.stubEnv('EKKO_VAULT', '/does/not/exist');
  vi.stubEnv('EKKO_KEY_FILE', '/does/not/exist.key');
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
});
afterAll(() => vi.unstubAllEnvs());

async function call(method: string, path: string) {
  const { handler } = await import('../../../functions/point-committer/http-handler.ts');
  return (await handler(request(method, path), {} as never)) as { statusCode: number; body: string };
}

test('a commit that cannot be made is answered with a problem that names its code', async () => {
  const answer = await call('POST', '/runs/20260101-000000-000000/commit');
  expect(answer.statusCode).toBe(500);
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'object-missing' });
});

test('a run that is no run is the caller’s mistake', async () => {
  const answer = await call('POST', `/runs/${'x'.repeat(100)}/commit`);
  expect(answer.statusCode).toBe(400);
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'bad-input' });
});

test('another path is not found', async () => {
  expect((await call('POST', '/runs')).statusCode).toBe(404);
});

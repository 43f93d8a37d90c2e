import { afterEach, describe, expect, test } from 'vitest';
import { type Authenticator, openAuthenticator } from '#vault/store/swift/authenticator.ts';
import { readCloudSettings } from '#vault/store/swift/cloud-settings.ts';
import { openExchange } from '#vault/store/swift/http-exchange.ts';
import { always, answering, first, half, htmlPage, resetAfter, resetBefore, silence } from '../../../../faulty-http.ts';
import { type FakeCloud, type FakeTraits, openFakeCloud, QUICK, SECRET, toKeystone } from './fake-cloud.ts';

/** Of the life of a token of an hour: minutes before its end, and behind it. */
const RENEWING_MS = 3_301_000;
const ENDED_MS = 3_601_000;

let cloud: FakeCloud;
afterEach(() => cloud.close());

async function open(traits: FakeTraits = {}): Promise<Authenticator> {
  cloud = await openFakeCloud(traits);
  return authenticatorOf(cloud.environment);
}

function authenticatorOf(environment: NodeJS.ProcessEnv, patience = QUICK): Authenticator {
  return openAuthenticator(readCloudSettings(environment), openExchange(patience, {}), patience);
}

const logins = () => cloud.requests.filter(toKeystone).map(({ body }) => JSON.parse(body.toString()));

test('nothing is asked before a session is needed; then once for all who need it', async () => {
  const authenticator = await open();
  expect(logins()).toHaveLength(0);
  const sessions = await Promise.all(Array.from({ length: 40 }, () => authenticator.authenticate()));
  expect(logins()).toHaveLength(1);
  expect(new Set(sessions.map(({ token }) => token))).toEqual(new Set(['token-1']));
  expect(sessions[0]?.url).toBe(`${cloud.url}/v1/AUTH_fake`);
  await authenticator.authenticate();
  expect(logins()).toHaveLength(1);
});

test('an application credential says what it is, and no project', async () => {
  await open();
  const environment = {
    OS_AUTH_URL: cloud.url,
    OS_APPLICATION_CREDENTIAL_ID: 'a1',
    OS_APPLICATION_CREDENTIAL_SECRET: SECRET,
  };
  expect((await authenticatorOf(environment).authenticate()).token).toBe('token-1');
  expect(logins()).toEqual([
    {
      auth: { identity: { methods: ['application_credential'], application_credential: { id: 'a1', secret: SECRET } } },
    },
  ]);
});

test('the storage URL of the environment goes before that of the catalogue', async () => {
  await open({ catalogue: () => undefined });
  const environment = { ...cloud.environment, OS_STORAGE_URL: 'http://swift.example/v1/a' };
  expect((await authenticatorOf(environment).authenticate()).url).toBe('http://swift.example/v1/a');
});

describe('a token that ends', () => {
  test('is replaced, and everybody waits for the one new', async () => {
    const authenticator = await open({ tokenSeconds: 0.05 });
    await authenticator.authenticate();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const sessions = await Promise.all([authenticator.authenticate(), authenticator.authenticate()]);
    expect(sessions.map(({ token }) => token)).toEqual(['token-2', 'token-2']);
  });

  test('is replaced before its end, while it is still used', async () => {
    const authenticator = await open();
    expect((await authenticator.authenticate()).token).toBe('token-1');
    const clock = performance.now;
    try {
      performance.now = () => clock.call(performance) + RENEWING_MS;
      expect((await authenticator.authenticate()).token).toBe('token-1');
      while (cloud.tokens.length < 2) await new Promise(setImmediate);
      while ((await authenticator.authenticate()).token !== 'token-2') await new Promise(setImmediate);
    } finally {
      performance.now = clock;
    }
    expect(logins()).toHaveLength(2);
  });

  test('serves on to its end when Keystone is away', async () => {
    const authenticator = await open();
    await authenticator.authenticate();
    cloud.misbehave(always(resetBefore, toKeystone));
    const clock = performance.now;
    try {
      performance.now = () => clock.call(performance) + RENEWING_MS;
      expect((await authenticator.authenticate()).token).toBe('token-1');
      while (logins().length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      expect((await authenticator.authenticate()).token).toBe('token-1');
      performance.now = () => clock.call(performance) + ENDED_MS;
      await expect(authenticator.authenticate()).rejects.toThrow(/Keystone .* cannot be reached/);
      cloud.misbehave(() => undefined);
      expect((await authenticator.authenticate()).token).toMatch(/^token-\d$/);
    } finally {
      performance.now = clock;
    }
  });
});

describe('a token that is refused', () => {
  test('is renewed once for all that were refused', async () => {
    const authenticator = await open();
    const { token } = await authenticator.authenticate();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => authenticator.renew(token)));
    expect(new Set(sessions.map((session) => session.token))).toEqual(new Set(['token-2']));
    expect((await authenticator.renew(token)).token).toBe('token-2');
    expect(logins()).toHaveLength(2);
  });

  test('cannot be renewed when somebody else got it', async () => {
    await open();
    const authenticator = authenticatorOf({ OS_TOKEN: 'hunter2', OS_STORAGE_URL: 'http://swift.example/v1/a' });
    expect(await authenticator.authenticate()).toEqual({ token: 'hunter2', url: 'http://swift.example/v1/a' });
    await expect(authenticator.renew('hunter2')).rejects.toThrow(/OS_TOKEN \(401\)/);
  });
});

describe('Keystone', () => {
  test.each([
    ['a connection that breaks before', resetBefore],
    ['a connection that breaks after', resetAfter],
    ['half an answer', half()],
    ['500', answering(500)],
    ['502', answering(502, '<html>')],
    ['503', answering(503, '', { 'retry-after': '0' })],
    ['429', answering(429, '', { 'retry-after': '1' })],
  ])('is asked again after %s', async (_, fault) => {
    const authenticator = await open();
    cloud.misbehave(first(2, fault));
    expect((await authenticator.authenticate()).token).toMatch(/^token-\d$/);
    expect(logins()).toHaveLength(3);
  });

  test.each([
    ['a wrong password', { OS_PASSWORD: 'hunter2' }, /refuses the user "ekko": .*password is wrong/, 2],
    ['a wrong project', { OS_PROJECT_NAME: 'nowhere' }, /knows the user "ekko", but no project "nowhere"/, 2],
    ['a wrong path', { path: '/elsewhere' }, /There is no Keystone API v3 at .*look at OS_AUTH_URL/, 0],
    [
      'a wrong application credential',
      { OS_APPLICATION_CREDENTIAL_ID: 'a1', OS_APPLICATION_CREDENTIAL_SECRET: 'hunter2' },
      /refuses the application credential/,
      1,
    ],
  ])(
    'says what is wrong: %s',
    async (_, { path = '', ...variables }: { path?: string } & NodeJS.ProcessEnv, message, asked) => {
      await open();
      const environment = { ...cloud.environment, ...variables, OS_AUTH_URL: cloud.url + path };
      const failure = await authenticatorOf(environment)
        .authenticate()
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'store-failed', message: expect.stringMatching(message) });
      expect(String(failure)).not.toContain('hunter2');
      expect(cloud.requests.filter(toKeystone)).toHaveLength(asked);
    },
  );

  test.each([
    [403, /forbids a token/],
    [400, /answers 400/],
    [300, /answers 300/],
  ])('that answers %i is not asked again', async (status, message) => {
    const authenticator = await open();
    cloud.misbehave(always(answering(status)));
    await expect(authenticator.authenticate()).rejects.toThrow(message);
    expect(logins()).toHaveLength(1);
  });

  test.each([
    ['a page', htmlPage(201)],
    [
      'no token',
      answering(201, '{"token": {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}}'),
    ],
    ['no end', answering(201, '{"token": {}}', { 'x-subject-token': 'a' })],
    [
      'a token with a blank',
      answering(201, '{"token": {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}}', {
        'x-subject-token': 'a b',
      }),
    ],
  ])('that gives %s is none', async (_, fault) => {
    const authenticator = await open();
    cloud.misbehave(always(fault));
    await expect(authenticator.authenticate()).rejects.toThrow(/is no Keystone: look at OS_AUTH_URL/);
  });

  test('that is not there is named after a few attempts, and may come back', async () => {
    const authenticator = await open();
    cloud.misbehave(always(resetBefore));
    await expect(authenticator.authenticate()).rejects.toThrow(
      /Keystone at .* cannot be reached: ECONNRESET \(\d attempts\)/,
    );
    cloud.misbehave(() => undefined);
    expect((await authenticator.authenticate()).token).toBe('token-1');
  });

  test('that falls silent is not waited for', async () => {
    await open();
    cloud.misbehave(always(silence));
    const patience = { ...QUICK, silenceMs: 30, retries: 1 };
    await expect(authenticatorOf(cloud.environment, patience).authenticate()).rejects.toThrow(
      /nothing came for 0.03 s \(2 attempts\)/,
    );
  });

  test('that answers without end is not listened to', async () => {
    const authenticator = await open();
    cloud.misbehave(always(answering(201, Buffer.alloc(5 * 1024 * 1024, ' '))));
    await expect(authenticator.authenticate()).rejects.toThrow(/the answer is 5242880 bytes long/);
  });
});

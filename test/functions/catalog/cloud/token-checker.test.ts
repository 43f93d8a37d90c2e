import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTokenChecker, type TokenChecker } from '../../../../functions/catalog/cloud/token-checker.ts';
import { type FakeCloud, openFakeCloud } from '../fake-cloud.ts';
import { settingsFor } from '../lab.ts';

const HOUR_MS = 3_600_000;
let cloud: FakeCloud;
let now: number;
let tokens: TokenChecker;

beforeEach(async () => {
  cloud = await openFakeCloud();
  now = Date.now();
  tokens = openTokenChecker(settingsFor(cloud, '').keystone, () => now);
  cloud.tokens.set('alice', { project: 'a', roles: ['Member', 'reader'], expiresAt: now + HOUR_MS });
});
afterEach(() => cloud.close());

const asked = () => cloud.requests.filter(({ method }) => method === 'GET').length;

test('a token tells who calls, and Keystone is asked once for all who call at once', async () => {
  const callers = await Promise.all([1, 2, 3].map(() => tokens.check('alice')));
  expect(callers[0]).toMatchObject({ project: 'a', user: 'u1', roles: ['member', 'reader'], token: 'alice' });
  expect(asked()).toBe(1);
  await tokens.check('alice');
  expect(asked()).toBe(1);
});

test('what Keystone said is believed for a minute, and no longer', async () => {
  await tokens.check('alice');
  cloud.tokens.delete('alice');
  now += 59_000;
  await tokens.check('alice');
  now += 2000;
  await expect(tokens.check('alice')).rejects.toMatchObject({ code: 'token-refused' });
});

test('a token that ends within the minute is not believed past its end', async () => {
  cloud.tokens.set('short', { project: 'a', roles: [], expiresAt: now + 10_000 });
  await tokens.check('short');
  now += 11_000;
  await expect(tokens.check('short')).rejects.toMatchObject({
    code: 'token-refused',
    message: expect.stringContaining('expired'),
  });
});

test('a refused token is not asked about each time', async () => {
  for (let i = 0; i < 5; i++) await expect(tokens.check('nobody')).rejects.toMatchObject({ code: 'token-refused' });
  expect(asked()).toBe(1);
  cloud.tokens.set('nobody', { project: 'a', roles: [], expiresAt: now + HOUR_MS });
  now += 6000;
  await tokens.check('nobody');
});

test.each(['', 'two words', 'x'.repeat(9000), 'naïve', 'a\nb'])(
  'what cannot be a token is refused without asking: %j',
  async (token) => {
    await expect(tokens.check(token)).rejects.toMatchObject({ code: 'token-refused' });
    expect(cloud.requests).toEqual([]);
  },
);

test('a token without a project is told to be none for this', async () => {
  cloud.tokens.set('unscoped', { project: undefined, roles: [], expiresAt: now + HOUR_MS });
  await expect(tokens.check('unscoped')).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringContaining('project'),
  });
});

test('a session that Keystone has ended is renewed without the caller noticing', async () => {
  await tokens.check('alice');
  cloud.endServiceSessions();
  now += 61_000;
  await tokens.check('alice');
});

test('a Keystone that is down is the cloud’s fault, and the token is asked about when it is back', async () => {
  cloud.down.add('keystone');
  await expect(tokens.check('alice')).rejects.toMatchObject({ code: 'cloud-failed' });
  cloud.down.clear();
  await tokens.check('alice');
});

test('a wrong password of Ekko’s own is told to the operator, without it', async () => {
  const keystone = { ...settingsFor(cloud, '').keystone, password: 'wrong' };
  const failure = await openTokenChecker(keystone)
    .check('alice')
    .catch((error: Error) => error);
  expect(failure).toMatchObject({ code: 'cloud-failed', message: expect.stringContaining('settings file') });
  expect(String(failure)).not.toContain('wrong');
});

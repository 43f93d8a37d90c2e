import { expect, test, vi } from 'vitest';
import type { HttpRequest } from '../../../functions/vault/store/swift/http-exchange.ts';
import { PATIENCE } from '../../../functions/vault/store/swift/patience.ts';
import { openIdentify } from '../../../host-exporter/api/identity.ts';
import type { Peers } from '../../../host-exporter/api/peers.ts';

function openWith(answer: (request: HttpRequest) => { status: number; json?: object }) {
  const requests: HttpRequest[] = [];
  const exchange: Peers['exchange'] = async (request) => {
    requests.push(request);
    const { status, json = {} } = answer(request);
    return { status, headers: {}, body: Buffer.from(JSON.stringify(json)) };
  };
  const forgotten: string[] = [];
  let logins = 0;
  const login = { token: async () => `own-${logins++}`, forget: (token: string) => void forgotten.push(token) };
  return { requests, forgotten, identify: openIdentify({ exchange, patience: PATIENCE }, login, 'https://k/v3/') };
}

const tokenOf = (seconds: number, more: object = { project: { id: 'p1' } }) => ({
  token: { expires_at: new Date(Date.now() + seconds * 1000).toISOString(), roles: [{ name: 'member' }], ...more },
});

test('Keystone is asked once a minute for a token, and never past its end', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  try {
    const { identify, requests } = openWith(() => ({ status: 200, json: tokenOf(90) }));
    expect(await identify('t')).toEqual({ project: 'p1', roles: ['member'] });
    await identify('t');
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      url: 'https://k/v3/auth/tokens',
      headers: { 'x-auth-token': 'own-0', 'x-subject-token': 't' },
    });
    vi.advanceTimersByTime(59_000);
    await identify('t');
    expect(requests).toHaveLength(1);
    vi.advanceTimersByTime(2_000);
    await identify('t');
    expect(requests).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test('a token that is about to end is not kept past that', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  try {
    const ends = Date.now() + 5_000;
    const json = { token: { ...tokenOf(0).token, expires_at: new Date(ends).toISOString() } };
    const { identify, requests } = openWith(() => ({ status: 200, json }));
    await identify('t');
    vi.advanceTimersByTime(6_000);
    await expect(identify('t')).rejects.toMatchObject({ status: 401 });
    expect(requests).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ['no token', undefined, { status: 200 }, 401],
  ['a token with a line break', 'a\r\nx: y', { status: 200 }, 401],
  ['one that Keystone does not know', 't', { status: 404 }, 401],
  ['one of no project', 't', { status: 200, json: tokenOf(60, { project: undefined }) }, 401],
  ['a Keystone that fails', 't', { status: 500 }, 503],
  ['an answer that is none', 't', { status: 200, json: [] }, 503],
])('%s', async (_, token, answer, status) => {
  await expect(openWith(() => answer).identify(token)).rejects.toMatchObject({ status });
});

test('when its own token has ended it logs in again, once', async () => {
  const fresh = openWith(({ headers }) =>
    headers['x-auth-token'] === 'own-0' ? { status: 401 } : { status: 200, json: tokenOf(60) },
  );
  expect(await fresh.identify('t')).toMatchObject({ project: 'p1' });
  expect(fresh.forgotten).toEqual(['own-0']);
  const never = openWith(() => ({ status: 401 }));
  await expect(never.identify('t')).rejects.toMatchObject({ status: 503 });
  expect(never.requests).toHaveLength(2);
});

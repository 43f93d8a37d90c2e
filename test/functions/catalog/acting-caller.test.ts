import { expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { actingCaller } from '../../../functions/catalog/acting-caller.ts';
import type { Caller } from '../../../functions/catalog/caller.ts';

const NOW = 1_000_000;
const caller = (token: string, minutes: number): Caller => ({
  ...{ token, project: 'a', user: token, roles: ['member'] },
  expiresAt: NOW + minutes * 60_000,
});
const long = caller('long', 60);
const brief = caller('brief', 5);

function acting(first: Caller, now = NOW) {
  const found = actingCaller(first, () => now);
  return { ...found, token: () => found.current().token };
}

test('a token that lasts longer, or as long, acts from now on', () => {
  const found = acting(brief);
  found.offer(long);
  expect(found.token()).toBe('long');
  found.offer({ ...long, token: 'as-long' });
  expect(found.token()).toBe('as-long');
});

test('one that ends sooner does not', () => {
  const found = acting(long);
  found.offer(brief);
  expect(found.token()).toBe('long');
});

test('unless the one that acts has ended', () => {
  const found = acting(caller('ended', -1));
  found.offer(caller('ended-sooner', -2));
  expect(found.token()).toBe('ended-sooner');
});

test('a token that is refused gives way to one that came by, or to the next', () => {
  const found = acting(long);
  found.offer(brief);
  found.refuse('long');
  expect(found.token()).toBe('brief');
  found.refuse('brief');
  expect(found.token()).toBe('brief');
  found.offer(caller('briefer', 1));
  expect(found.token()).toBe('briefer');
});

test('one that gave way to a better one is there again when that is refused', () => {
  const found = acting(brief);
  found.offer(long);
  found.refuse('long');
  expect(found.token()).toBe('brief');
});

test('the refusal of a token that acts no more, or that has ended, changes nothing', () => {
  const found = acting(brief);
  found.offer(long);
  found.refuse('brief');
  found.refuse('long');
  expect(found.token()).toBe('long');
  const later = acting(long, NOW + 10 * 60_000);
  later.offer(brief);
  later.refuse('long');
  expect(later.token()).toBe('long');
});

test('work whose token is refused is done once more with another one, where there is one', async () => {
  const found = acting(long);
  const asked: string[] = [];
  const work = async ({ token }: Caller) => {
    asked.push(token);
    if (token === 'long') throw new EkkoError('token-refused', 'Revoked.');
    return token;
  };
  await expect(found.act(work)).rejects.toThrow('Revoked.');
  found.offer(brief);
  expect(await found.act(work)).toBe('brief');
  expect(asked).toEqual(['long', 'brief']);
});

test('what fails otherwise is not done again', async () => {
  const found = acting(long);
  found.offer(brief);
  const work = () => Promise.reject(new EkkoError('cloud-failed', 'Away.'));
  await expect(found.act(work)).rejects.toThrow('Away.');
  expect(found.token()).toBe('long');
});

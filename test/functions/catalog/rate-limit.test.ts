import { expect, test } from 'vitest';
import { openRateLimit } from '../../../functions/catalog/rate-limit.ts';

test('a burst passes, then only what the time allows, for each name by itself', () => {
  let now = 0;
  const limit = openRateLimit(60, () => now);
  for (let i = 0; i < 10; i++) limit.take('a');
  expect(() => limit.take('a')).toThrow(expect.objectContaining({ code: 'too-many-requests', retryAfter: 1 }));
  limit.take('b');
  now = 2000;
  limit.take('a');
  limit.take('a');
  expect(() => limit.check('a')).toThrow(/1 s/);
});

test('a look takes nothing', () => {
  const limit = openRateLimit(6, () => 0);
  for (let i = 0; i < 5; i++) limit.check('a');
  limit.take('a');
  expect(() => limit.check('a')).toThrow(/10 s/);
});

import { expect, test } from 'vitest';
import { overdueSince } from '../../../../functions/catalog/policies/overdue.ts';
import type { LastRecord } from '../../../../functions/catalog/registry/records.ts';

const DAILY = { cron: '0 3 * * *', timeZone: 'Europe/Berlin' };

function since(
  now: string,
  last?: LastRecord,
  schedule: typeof DAILY | null = DAILY,
  updatedAt = '2026-11-01T00:00:00Z',
) {
  const members = { tags: ['web'] };
  const definition = { vault: 'main', members, quiesce: 'prefer', ...(schedule && { schedule }) } as const;
  return overdueSince({ policy: 'shop', definition, updatedAt }, last, new Date(now))?.toISOString();
}

test.each([
  ['a run that began in time', '2026-11-20T12:00:00Z', { begunAt: '2026-11-20T02:00:05Z' }, undefined],
  ['a run that was fired two seconds early', '2026-11-20T12:00:00Z', { begunAt: '2026-11-20T01:59:58Z' }, undefined],
  ['a time that has only just passed', '2026-11-20T02:20:00Z', { begunAt: '2026-11-19T02:00:05Z' }, undefined],
  [
    'no run since the day before',
    '2026-11-20T02:31:00Z',
    { begunAt: '2026-11-19T02:00:05Z' },
    '2026-11-20T02:00:00.000Z',
  ],
  [
    'no run for days: the first that was missed',
    '2026-11-20T12:00:00Z',
    { begunAt: '2026-11-17T02:00:05Z' },
    '2026-11-18T02:00:00.000Z',
  ],
  ['no run ever', '2026-11-20T12:00:00Z', undefined, '2026-11-01T02:00:00.000Z'],
  ['a point of a registry that knew no begin', '2026-11-20T12:00:00Z', { point: '20261120-020000-aaaaaa' }, undefined],
])('after %s', (_, now, last, expected) => {
  expect(since(now, last)).toBe(expected);
});

test('a policy without a schedule, or with one that is newer than its time, is not overdue', () => {
  expect(since('2026-11-20T12:00:00Z', undefined, null)).toBeUndefined();
  expect(since('2026-11-20T12:00:00Z', undefined, DAILY, '2026-11-20T11:00:00Z')).toBeUndefined();
});

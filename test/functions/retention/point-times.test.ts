import { expect, test } from 'vitest';
import { timeOf } from '../../../functions/retention/point-times.ts';
import { runFor } from '../vault/journal/histories.ts';

const at = '2026-11-20T12:00:00.000Z';
const original = { vault: 'ab'.repeat(16), run: runFor(1) };
const time = (takenAt: string, committed = at, more = {}) =>
  new Date(timeOf({ takenAt, at: committed, ...more })).toISOString();

test('a point was taken when it says, within a day before its commit', () => {
  expect(time('2026-11-20T11:59:00.000Z')).toBe('2026-11-20T11:59:00.000Z');
  expect(time('2026-11-19T12:00:00.000Z')).toBe('2026-11-19T12:00:00.000Z');
});

test.each([
  ['after its commit', '2026-11-20T12:00:01.000Z'],
  ['in years to come', '2035-01-01T00:00:00.000Z'],
  ['more than a day before', '2026-11-19T11:59:59.999Z'],
  ['on a day that there is not', '2026-13-99T00:00:00.000Z'],
])('a date %s is not believed: it counts as taken at its commit', (_, takenAt) => {
  expect(time(takenAt)).toBe(at);
});

test('a copy is as old as its original, but not younger than its commit', () => {
  expect(time('2020-01-01T00:00:00.000Z', at, { copyOf: original })).toBe('2020-01-01T00:00:00.000Z');
  expect(time('2035-01-01T00:00:00.000Z', at, { copyOf: original })).toBe(at);
});

test('a commit on a day that there is not leaves the point its own date', () => {
  expect(time('2026-11-20T11:00:00.000Z', '2026-13-99T00:00:00.000Z')).toBe('2026-11-20T11:00:00.000Z');
  expect(timeOf({ takenAt: '2026-13-99T00:00:00.000Z', at: '2026-13-99T00:00:00.000Z' })).toBe(0);
});

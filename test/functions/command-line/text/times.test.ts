import { describe, expect, test } from 'vitest';
import { formatAge, formatDuration, formatTime } from '../../../../functions/command-line/text/times.ts';

describe('a duration', () => {
  test.each([
    [0.04, '0.0 s'],
    [3, '3 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.6, '1 min'],
    [125, '2 min 5 s'],
    [3599.6, '1 h'],
    [7800, '2 h 10 min'],
    [86_399, '1 d'],
    [273_600, '3 d 4 h'],
  ])('of %d seconds is %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('an age', () => {
  const now = new Date('2026-11-20T12:00:00Z');
  test.each([
    ['2026-11-20T11:59:30Z', 'just now'],
    ['2026-11-20T11:55:00Z', '5 min ago'],
    ['2026-11-19T09:00:00Z', '27 h ago'],
    ['2026-11-08T12:00:00Z', '12 d ago'],
    ['2026-11-21T12:00:00Z', 'in the future'],
    ['no time', 'unknown'],
  ])('of %s is %s', (then, text) => expect(formatAge(new Date(then), now)).toBe(text));
});

test('a time is written by the local calendar, and a broken one is said to be unknown', () => {
  expect(formatTime(new Date(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02 03:04:05');
  expect(formatTime(new Date('no time'))).toBe('unknown');
});

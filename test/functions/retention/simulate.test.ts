import { expect, test } from 'vitest';
import { timedPoint } from '../../../functions/retention/point-times.ts';
import { MOST_SIMULATED, scheduled, simulate } from '../../../functions/retention/simulate.ts';
import { runFor } from '../vault/journal/histories.ts';
import { DAY, dailyPoints, HOUR, NOON } from './histories.ts';

test('a simulation tells what stands at the end, why, and the most that ever stood', () => {
  const { made, stands, byRule, most } = simulate(dailyPoints(30).map(timedPoint), {
    daily: 3,
    weekly: 2,
    timeZone: 'UTC',
  });
  expect(made).toBe(30);
  // Fridays: the 15th was a Sunday.
  expect(stands.map(({ run }) => run)).toEqual([24, 27, 28, 29].map(runFor));
  expect(byRule).toEqual({ daily: 3, weekly: 2 });
  expect(most).toBe(4);
});

test('an hourly schedule under a long policy stands at the sum of its rules', () => {
  const schedule = scheduled({ from: NOON, everyMs: HOUR, forMs: 100 * DAY });
  expect(schedule).toHaveLength(2400);
  const { stands, byRule, most } = simulate(schedule, {
    ...{ hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 5 },
    timeZone: 'Europe/Berlin',
  });
  // Four months and a turn of the year.
  expect(byRule).toEqual({ hourly: 24, daily: 7, weekly: 4, monthly: 4, yearly: 2 });
  expect(stands.length).toBeLessThanOrEqual(most);
  expect(most).toBeLessThan(24 + 7 + 4 + 4 + 2);
});

test('a schedule is bounded', () => {
  expect(scheduled({ from: NOON, everyMs: 1, forMs: 400 * DAY })).toHaveLength(MOST_SIMULATED);
});

test('the most that ever stood may be long ago', () => {
  const hours = scheduled({ from: NOON, everyMs: HOUR, forMs: 60 * HOUR });
  const { stands, most } = simulate([...hours, { run: 'late', time: NOON + 400 * DAY }], {
    withinHours: 48,
    timeZone: 'UTC',
  });
  expect({ stands: stands.length, most }).toEqual({ stands: 1, most: 49 });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDue, nextRun } from '../../../../functions/catalog/policies/schedule.ts';
import { triggerOf } from '../../../../functions/catalog/policies/trigger.ts';

const NOW = new Date('2026-11-20T12:00:00Z');

describe('a trigger in UTC', () => {
  test.each([
    ['0 3 * * *', 'UTC', '0 3 * * *'],
    ['0 3 * * *', 'Europe/Berlin', '0 1,2 * * *'],
    ['*/20 * * * *', 'Europe/Berlin', '0,20,40 * * * *'],
    ['0 3 * * 1-5', 'Europe/Berlin', '0 1,2 * * 1-5'],
    ['30 0 * * 1', 'Europe/Berlin', '30 22,23 * * *'],
    ['0 22 1 * *', 'America/New_York', '0 2,3 * * *'],
    ['0 6 * * *', 'Asia/Kolkata', '30 0 * * *'],
    ['0 3 * * *', 'Asia/Kathmandu', '15 21 * * *'],
    // The last are words that the engine of the workflows refuses: it asks each day.
    ['0 3 * jan-mar MON', 'UTC', '0 3 * jan-mar MON'],
    ['0 3 LW * *', 'UTC', '0 3 * * *'],
    ['0 3 15W * *', 'UTC', '0 3 * * *'],
    ['0 3 * * 5L', 'UTC', '0 3 * * *'],
    ['0 3 ? * 5', 'UTC', '0 3 * * *'],
    ['0 3 1 * +5', 'UTC', '0 3 * * *'],
  ])('of %s in %s is %s', (cron, timeZone, expected) => {
    expect(triggerOf({ cron, timeZone }, NOW)).toBe(expected);
  });

  test('fires at each time at which the schedule is due, in any zone and season', () => {
    const minute = fc.constantFrom('0', '7', '*/15', '10-20/5', '59');
    const hour = fc.constantFrom('0', '3', '2,14', '*/6', '22-23', '*');
    const days = fc.constantFrom('* * *', '* * 1', '1 * *', '15 6 *', '* * 6-7', 'LW * *', '* * 5L', '15 * +1');
    const zone = fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Asia/Kolkata',
      'Australia/Lord_Howe',
      'America/St_Johns',
      'Pacific/Auckland',
    );
    const day = fc.integer({ min: 0, max: 364 });
    fc.assert(
      fc.property(minute, hour, days, zone, day, (m, h, d, timeZone, offset) => {
        const schedule = { cron: `${m} ${h} ${d}`, timeZone };
        const due = nextRun(schedule, new Date(NOW.getTime() + offset * 86_400_000));
        if (due === undefined) throw new Error('never due');
        const trigger = { cron: triggerOf(schedule, NOW), timeZone: 'UTC' };
        expect(nextRun(trigger, new Date(due.getTime() - 1000))?.toISOString()).toBe(due.toISOString());
      }),
      { numRuns: 150 },
    );
  });
});

describe('a schedule is due', () => {
  const nightly = { cron: '0 3 * * *', timeZone: 'Europe/Berlin' };
  test.each([
    ['at its time', '2026-11-20T02:00:00Z', true],
    ['a little before, for triggers fire early', '2026-11-20T01:59:10Z', true],
    ['a while after, for clouds are slow', '2026-11-20T02:14:00Z', true],
    ['not an hour early, when summer time would have it so', '2026-11-20T01:00:00Z', false],
    ['not an hour late', '2026-11-20T03:00:00Z', false],
  ])('%s', (_, at, expected) => {
    expect(isDue(nightly, new Date(at))).toBe(expected);
  });
});

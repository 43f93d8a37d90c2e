import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDue } from '../../../../functions/catalog/policies/due.ts';
import { triggerPattern } from '../../../../functions/catalog/policies/trigger-pattern.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const berlin = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };

describe('a pattern in UTC', () => {
  test.each([
    ['30 2 * * *', 'UTC', '30 2 * * *'],
    ['30 2 * * *', 'Europe/Berlin', '30 0,1 * * *'],
    ['30 0 * * 1', 'Europe/Berlin', '30 22,23 * * *'],
    ['0 12 1 * mon-fri', 'Europe/Berlin', '0 10,11 1 * mon-fri'],
    ['15 2 * * *', 'Asia/Kathmandu', '30 20 * * *'],
    ['*/15 * * * *', 'America/New_York', '0,15,30,45 * * * *'],
  ])('of %j in %s is %j', (cron, timeZone, trigger) => {
    expect(triggerPattern({ cron, timeZone }, NOW)).toBe(trigger);
  });

  const zones = ['Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/St_Johns', 'Pacific/Chatham'];
  test('fires, or did not long ago, at every time of the schedule, across all changes of the clock', () => {
    const schedule = fc.record({
      cron: fc
        .tuple(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 23 }), fc.constantFrom('*', '1', '*/2'))
        .map(([minute, hour, day]) => `${minute} ${hour} ${day} * *`),
      timeZone: fc.constantFrom(...zones),
    });
    const property = fc.property(schedule, fc.integer({ min: 0, max: 300 }), (each, day) => {
      const trigger = new Cron(triggerPattern(each, NOW), { timezone: 'UTC', paused: true });
      const time = new Cron(each.cron, { timezone: each.timeZone, paused: true }).nextRun(
        new Date(NOW.getTime() + day * 86_400_000),
      );
      if (time === null) return true;
      const fired = trigger.nextRun(new Date(time.getTime() - 1000));
      // A time that the clock leaps over is kept at the next one.
      return fired !== null && fired.getTime() - time.getTime() <= 3_600_000;
    });
    fc.assert(property, { numRuns: 100 });
  });
});

describe('a run is due', () => {
  const made = new Date('2026-01-01T00:00:00Z');
  const at = (time: string) => new Date(time);

  test('at the time of the schedule, and when the trigger is two seconds early', () => {
    expect(isDue(berlin, at('2026-11-21T01:30:00Z'), made, at('2026-11-20T01:30:01Z'))).toBe(true);
    expect(isDue(berlin, at('2026-11-21T01:29:58Z'), made, at('2026-11-20T01:30:01Z'))).toBe(true);
  });

  test('in winter not when the trigger fires for summer, and the other way round', () => {
    expect(isDue(berlin, at('2026-11-21T00:30:00Z'), made, at('2026-11-20T01:30:01Z'))).toBe(false);
    expect(isDue(berlin, at('2026-07-21T00:30:00Z'), made, at('2026-07-20T00:30:01Z'))).toBe(true);
    expect(isDue(berlin, at('2026-07-21T01:30:00Z'), made, at('2026-07-21T00:30:01Z'))).toBe(false);
  });

  test('once on the days on which the clock is put forward and back', () => {
    for (const [day, before] of [
      ['2026-03-29', '2026-03-28T01:30:01Z'],
      ['2026-10-25', '2026-10-24T00:30:01Z'],
    ] as const) {
      let last = at(before);
      let runs = 0;
      for (const fire of [`${day}T00:30:00Z`, `${day}T01:30:00Z`]) {
        if (!isDue(berlin, at(fire), made, last)) continue;
        runs++;
        last = at(fire);
      }
      expect([day, runs]).toEqual([day, 1]);
    }
  });

  test('late, when nobody could ask in time, and not twice', () => {
    expect(isDue(berlin, at('2026-11-21T09:00:00Z'), made, at('2026-11-20T01:30:01Z'))).toBe(true);
    expect(isDue(berlin, at('2026-11-21T09:05:00Z'), made, at('2026-11-21T09:00:01Z'))).toBe(false);
  });

  test('not for a time before the policy was made', () => {
    expect(isDue(berlin, at('2026-11-21T09:00:00Z'), at('2026-11-21T08:00:00Z'), undefined)).toBe(false);
    expect(isDue(berlin, at('2026-11-22T01:30:00Z'), at('2026-11-21T08:00:00Z'), undefined)).toBe(true);
  });
});

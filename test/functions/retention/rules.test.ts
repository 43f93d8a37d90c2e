import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { BUCKET_RULES, type BucketRule, openCalendar } from '../../../functions/retention/periods.ts';
import type { TimedPoint } from '../../../functions/retention/point-times.ts';
import { judgePoints, type KeptByRule } from '../../../functions/retention/rules.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FAR = Date.UTC(2100, 0, 1);

/** Zones with summer time, without, of half and quarter hours, and one that lost a day. */
const ZONES = [
  ...['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Adelaide'],
  ...['America/St_Johns', 'Pacific/Apia', 'America/Santiago'],
];
/** Days on which clocks are changed somewhere, and the turn of a year whose first day belongs to the week before. */
const DAYS = ['2026-03-29', '2026-10-25', '2026-11-01', '2026-04-05', '2026-09-06', '2011-12-30', '2027-01-01'];

const someTime = fc
  .tuple(fc.constantFrom(...DAYS), fc.integer({ min: -40 * DAY, max: 40 * DAY }), fc.integer({ min: 0, max: 2 }))
  .map(([day, offset, nearness]) => Date.parse(`${day}T00:00:00Z`) + Math.round(offset / 20 ** nearness));
const count = fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined });
const policies: fc.Arbitrary<RetentionPolicy> = fc.record(
  {
    ...{ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count },
    withinHours: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
    timeZone: fc.constantFrom(...ZONES),
  },
  { requiredKeys: ['timeZone'] },
) as fc.Arbitrary<RetentionPolicy>;
const histories = fc.array(someTime, { minLength: 1, maxLength: 25 }).map(named);
const ordered = fc.array(someTime, { minLength: 1, maxLength: 25 }).map((times) => named(times.sort((a, b) => a - b)));

function named(times: readonly number[]): TimedPoint[] {
  return times.map((time, i) => ({ run: `p${i}`, time }));
}

const calendars = new Map(ZONES.map((zone) => [zone, openCalendar(zone)]));
const calendarOf = (zone: string) => calendars.get(zone) ?? openCalendar(zone);

function judged(points: readonly TimedPoint[], policy: RetentionPolicy, now = FAR) {
  return judgePoints(points, policy, calendarOf(policy.timeZone), now);
}

function kept(points: readonly TimedPoint[], policy: RetentionPolicy, now = FAR): string[] {
  return [...judged(points, policy, now)].filter(([, rules]) => rules.length > 0).map(([run]) => run);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Local time as if it were UTC, by the platform's own calendar. */
function localTime(zone: string, time: number): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
      ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
  formats.set(zone, format);
  const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((time % 1000) + 1000) % 1000);
}

/** A number for the period, ascending with it: what a person would work out. */
function modelPeriod(rule: BucketRule, zone: string, time: number): number {
  const local = localTime(zone, time);
  const date = new Date(local);
  if (rule === 'hourly') return time - (local % HOUR);
  if (rule === 'daily') return Math.floor(local / DAY);
  // 1970-01-01 was a Thursday: weeks begin on Mondays.
  if (rule === 'weekly') return Math.floor((local / DAY + 3) / 7);
  return date.getUTCFullYear() * 12 + (rule === 'monthly' ? date.getUTCMonth() : 0);
}

/** The rules said once more, without any cleverness. */
function modelKept(points: readonly TimedPoint[], policy: RetentionPolicy, now: number): string[] {
  const { timeZone, last = 0, withinHours } = policy;
  return points
    .filter((point, i) => {
      const later = points.slice(i + 1);
      if (later.length < last) return true;
      const dated = later.filter(({ time }) => time <= now);
      if (withinHours && dated.every(({ time }) => time - point.time <= withinHours * HOUR)) return true;
      return BUCKET_RULES.some((rule) => {
        const mine = modelPeriod(rule, timeZone, point.time);
        const periods = new Set(dated.map(({ time }) => modelPeriod(rule, timeZone, time)));
        return !periods.has(mine) && [...periods].filter((each) => each > mine).length < (policy[rule] ?? 0);
      });
    })
    .map(({ run }) => run);
}

describe('any policy over any points', () => {
  test('keeps what the rules say, in all zones, over changes of clocks, whatever the dates', () => {
    fc.assert(
      fc.property(histories, policies, someTime, (points, policy, now) => {
        expect(kept(points, policy, now)).toEqual(modelKept(points, policy, now));
      }),
      { numRuns: Number(process.env['MODEL_RUNS'] ?? 100) },
    );
  });

  test('keeps more, never less, when a number grows', () => {
    const rule = fc.constantFrom(...(['last', 'withinHours', ...BUCKET_RULES] as const));
    fc.assert(
      fc.property(histories, policies, rule, fc.integer({ min: 1, max: 5 }), (points, policy, grown, by) => {
        const larger = { ...policy, [grown]: (policy[grown] ?? 0) + by };
        expect(kept(points, larger)).toEqual(expect.arrayContaining(kept(points, policy)));
      }),
      { numRuns: 50 },
    );
  });

  test('that is applied again to what it kept, keeps all of it', () => {
    fc.assert(
      fc.property(histories, policies, (points, policy) => {
        const first = new Set(kept(points, policy));
        const standing = points.filter(({ run }) => first.has(run));
        expect(kept(standing, policy)).toEqual([...first]);
      }),
      { numRuns: 50 },
    );
  });

  test('keeps the same whether it is applied after every point or once at the end, where times ascend', () => {
    fc.assert(
      fc.property(ordered, policies, (points, policy) => {
        let standing: TimedPoint[] = [];
        for (const point of points) {
          const all = [...standing, point];
          const stay = new Set(kept(all, policy));
          standing = all.filter(({ run }) => stay.has(run));
        }
        expect(standing.map(({ run }) => run)).toEqual(kept(points, policy));
      }),
      { numRuns: 30 },
    );
  });

  test('loses by one more point at most one rank of each rule, and the place in its own period', () => {
    fc.assert(
      fc.property(histories, policies, someTime, (points, policy, time) => {
        const calendar = calendarOf(policy.timeZone);
        const after = judged([...points, { run: 'new', time }], policy);
        const survives = (rule: KeptByRule) => {
          if (rule.rule === 'within') return time <= rule.until;
          if (rule.rank === rule.of) return false;
          return rule.rule === 'last' || rule.period !== calendar.periodOf(rule.rule, time);
        };
        for (const [run, rules] of judged(points, policy)) {
          const still = after.get(run)?.map((each) => each.rule);
          expect(still).toEqual(expect.arrayContaining(rules.filter(survives).map((each) => each.rule)));
        }
      }),
    );
  });
});

describe('periods', () => {
  test('of a later time are never earlier, and a time lies in its own', () => {
    const zones = fc.constantFrom(...ZONES, 'Australia/Lord_Howe');
    fc.assert(
      fc.property(someTime, fc.nat(3 * DAY), zones, fc.constantFrom(...BUCKET_RULES), (time, ahead, zone, rule) => {
        const calendar = openCalendar(zone);
        const first = calendar.periodOf(rule, time);
        expect(first).toBeLessThanOrEqual(time);
        expect(calendar.periodOf(rule, time + ahead)).toBeGreaterThanOrEqual(first);
        expect(calendar.periodOf(rule, first)).toBe(first);
        expect(calendar.after(rule, first, 1)).toBeGreaterThan(time - 1);
      }),
    );
  });

  test('have the names that people give them', () => {
    const berlin = openCalendar('Europe/Berlin');
    const names = BUCKET_RULES.map((rule) =>
      berlin.nameOf(rule, berlin.periodOf(rule, Date.UTC(2026, 11, 31, 23, 30))),
    );
    expect(names).toEqual(['2027-01-01 00:00', '2027-01-01', '2026-W53', '2027-01', '2027']);
  });

  test('without points do not count: a machine that was off for a month loses nothing', () => {
    const policy = { daily: 7, weekly: 2, withinHours: 30, timeZone: 'Europe/Berlin' };
    const before = named(Array.from({ length: 7 }, (_, i) => Date.UTC(2026, 0, 5 + i, 3)));
    expect(kept(before, policy)).toHaveLength(7);
    const back = [...before, { run: 'back', time: Date.UTC(2026, 1, 15, 3) }];
    expect(kept(back, { daily: 8, timeZone: 'UTC' })).toHaveLength(8);
    expect(kept(back, policy)).toEqual([...before.slice(1).map(({ run }) => run), 'back']);
  });

  test('the hour that summer time repeats is two hours, and a day of 25 hours is one day', () => {
    const night = named(Array.from({ length: 25 }, (_, i) => Date.parse('2026-10-24T22:00:00Z') + i * HOUR));
    expect(kept(night, { hourly: 25, timeZone: 'Europe/Berlin' })).toHaveLength(25);
    expect(kept(night, { daily: 2, timeZone: 'Europe/Berlin' })).toEqual(['p24']);
    expect(kept(night, { daily: 2, timeZone: 'UTC' })).toEqual(['p1', 'p24']);
  });

  test('of a zone that is unknown are refused', () => {
    expect(() => openCalendar('Europe/Atlantis')).toThrow(expect.objectContaining({ code: 'bad-input' }));
  });
});

describe('within', () => {
  test('counts back from the newest point, not from the clock', () => {
    const points = named([0, 10, 20, 30].map((hours) => hours * HOUR));
    expect(kept(points, { withinHours: 20, timeZone: 'UTC' }, FAR)).toEqual(['p1', 'p2', 'p3']);
  });
});

describe('a clock that was wrong', () => {
  const good = Array.from({ length: 30 }, (_, i) => ({ run: `day ${i}`, time: Date.UTC(2026, 0, 1 + i, 3) }));
  const now = Date.UTC(2026, 0, 30, 12);
  const policy = { daily: 7, weekly: 4, withinHours: 100, timeZone: 'UTC' };
  const usual = kept(good, policy, now);

  test.each([-1, 1].flatMap((years) => [0, 10, 25, 29, 30].map((at): [number, number] => [years, at])))(
    'by %d year(s) for one point committed behind %d others pushes none out',
    (years, at) => {
      const wrong = { run: 'wrong', time: now + years * 365 * DAY };
      const points = [...good.slice(0, at), wrong, ...good.slice(at)];
      expect(kept(points, policy, now)).toEqual(expect.arrayContaining(usual));
    },
  );

  test('for a hundred days and was then set right takes nothing from the points before, in between, and after', () => {
    const ahead = Array.from({ length: 100 }, (_, i) => ({ run: `ahead ${i}`, time: Date.UTC(2027, 5, 1 + i) }));
    const after = Array.from({ length: 30 }, (_, i) => ({ run: `after ${i}`, time: Date.UTC(2026, 4, 11 + i) }));
    const daily = { daily: 7, timeZone: 'UTC' };
    const stays = kept([...good, ...ahead, ...after], daily, Date.UTC(2026, 5, 10));
    expect(stays).toEqual(expect.arrayContaining(ahead.slice(-7).map(({ run }) => run)));
    expect(stays).toEqual(expect.arrayContaining(after.slice(-7).map(({ run }) => run)));
  });
});

import { expect, test } from 'vitest';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { type End, endsOf } from '../../../functions/retention/ends.ts';
import { planGroup } from '../../../functions/retention/plan-group.ts';
import { runFor } from '../vault/journal/histories.ts';
import { confirmed, DAY, dailyPoints, HOUR, holdOn, NOON, pointAt, stateOf } from './histories.ts';

function ends(points: readonly CommittedPoint[], policy: RetentionPolicy, now = NOON): Map<string, End> {
  return endsOf(planGroup(stateOf(points, { '': confirmed(policy) }), 'web', undefined, now), now);
}

const day = (text: string) => Date.parse(`${text}T00:00:00Z`);

test('a daily point goes when as many later days have points as are kept, at the earliest', () => {
  const found = ends(dailyPoints(10), { daily: 4, timeZone: 'UTC' });
  expect([...found.keys()]).toEqual([6, 7, 8, 9].map(runFor));
  // Of the 17th: with the point of the 21st. Of the 19th: with that of the 23rd.
  expect(found.get(runFor(6))).toEqual({
    notBefore: day('2026-11-21'),
    needs: [{ rule: 'daily', more: 1, of: 'periods', notBefore: day('2026-11-21') }],
  });
  expect(found.get(runFor(8))).toMatchObject({ notBefore: day('2026-11-23'), needs: [{ rule: 'daily', more: 3 }] });
});

test('the point of a period that is not over goes with the next one', () => {
  expect(ends(dailyPoints(10), { daily: 4, timeZone: 'UTC' }).get(runFor(9))).toMatchObject({ notBefore: NOON });
});

test('a day without a point is a day that may still get one', () => {
  const found = ends(dailyPoints(10), { daily: 4, timeZone: 'UTC' }, NOON + 30 * DAY);
  expect(found.get(runFor(6))).toMatchObject({ notBefore: NOON + 30 * DAY });
  expect(found.get(runFor(7))).toMatchObject({ notBefore: day('2026-12-21') });
});

test('a point that several rules keep goes when the last one lets it go', () => {
  const found = ends(dailyPoints(10), { last: 4, weekly: 3, withinHours: 200, timeZone: 'UTC' });
  // The 15th was a Sunday, of the week before this one: two more weeks are needed.
  expect(found.get(runFor(4))).toMatchObject({ notBefore: day('2026-11-30') });
  expect(found.get(runFor(7))).toEqual({
    notBefore: NOON - 2 * DAY + 200 * HOUR,
    needs: [
      { rule: 'last', more: 2, of: 'points', notBefore: NOON },
      { rule: 'within', more: 1, of: 'points', notBefore: NOON - 2 * DAY + 200 * HOUR },
    ],
  });
});

test('no time is given for a point that is held, or good before newer ones that are damaged, or of a group without a policy', () => {
  const state = stateOf(dailyPoints(5), { '': confirmed({ last: 2, timeZone: 'UTC' }) }, [holdOn(3)]);
  const found = endsOf(planGroup(state, 'web', runFor(1), NOON), NOON);
  expect([...found].map(([run, { notBefore }]) => [run, notBefore])).toEqual([
    [runFor(1), undefined],
    [runFor(3), undefined],
    [runFor(4), NOON],
  ]);
  const none = endsOf(planGroup(stateOf(dailyPoints(1)), 'web', undefined, NOON), NOON);
  expect(none.get(runFor(0))?.notBefore).toBeUndefined();
});

test.each([
  { daily: 3, timeZone: 'Europe/Berlin' },
  { hourly: 5, weekly: 2, timeZone: 'America/New_York' },
  { monthly: 2, last: 2, timeZone: 'UTC' },
  { withinHours: 50, timeZone: 'UTC' },
])('under %j nothing goes before it was said to go, whatever is committed', (policy) => {
  const points = dailyPoints(12);
  const promised = ends(points, policy);
  const later = [...points];
  for (let hour = 3; hour <= 24 * 30; hour += 3) {
    const now = NOON + hour * HOUR;
    later.push(pointAt(100 + hour, now));
    const { going } = planGroup(stateOf(later, { '': confirmed(policy) }), 'web', undefined, now);
    for (const run of going) {
      const end = promised.get(run);
      if (end !== undefined) expect(now).toBeGreaterThanOrEqual(end.notBefore ?? Number.NaN);
    }
    for (const run of going)
      later.splice(
        later.findIndex((point) => point.run === run),
        1,
      );
  }
  expect(later.some((point) => promised.has(point.run))).toBe(false);
});

import { describe, expect, test } from 'vitest';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { CommittedPoint, SetRetention } from '#vault/journal/state.ts';
import { planGroup } from '../../../functions/retention/plan-group.ts';
import { runFor } from '../vault/journal/histories.ts';
import { confirmed, DAY, dailyPoints, HOUR, holdOn, NOON, pointAt, stateOf } from './histories.ts';

const UTC = 'UTC';

function staying(points: readonly CommittedPoint[], set: SetRetention | undefined, now = NOON, good?: string) {
  const state = stateOf(points, set === undefined ? {} : { '': set });
  const { going } = planGroup(state, 'web', good, now);
  return points.map(({ run }) => run).filter((run) => !going.includes(run));
}

const runs = (...numbers: number[]) => numbers.map(runFor);
const at = (time: number) => new Date(time).toISOString();

test('without a policy every point stays', () => {
  expect(staying(dailyPoints(50), undefined)).toHaveLength(50);
});

test('a group keeps to its own policy, and to that of all groups where it has none', () => {
  const points = dailyPoints(5).flatMap((point, n) => [point, pointAt(10 + n, Date.parse(point.at), { group: 'db' })]);
  const state = stateOf(points, {
    '': confirmed({ last: 1, timeZone: UTC }),
    db: confirmed({ daily: 3, timeZone: UTC }),
  });
  expect(planGroup(state, 'web', undefined, NOON).going).toEqual(runs(0, 1, 2, 3));
  expect(planGroup(state, 'db', undefined, NOON).going).toEqual(runs(10, 11));
});

test('points count for their group whatever disks they have', () => {
  const grown = dailyPoints(4).map((point, n) =>
    n < 2 ? point : { ...point, disks: [...point.disks, ...point.disks.map((disk) => ({ ...disk, name: 'vdb' }))] },
  );
  expect(staying(grown, confirmed({ daily: 3, timeZone: UTC }))).toEqual(runs(1, 2, 3));
});

test('copies count like all others, by the time of their originals', () => {
  const copies = dailyPoints(10).map((point, n) => ({
    ...point,
    at: at(NOON + n * 60_000),
    copyOf: { vault: 'ab'.repeat(16), run: runFor(100 + n) },
  }));
  expect(staying(copies, confirmed({ daily: 3, timeZone: UTC }), NOON + HOUR)).toEqual(runs(7, 8, 9));
});

describe('the newest point', () => {
  const stale: RetentionPolicy = { withinHours: 1, timeZone: UTC };

  test('is always kept, though no rule would', () => {
    const points = [...dailyPoints(3), pointAt(3, NOON - 400 * DAY)];
    const plan = planGroup(stateOf(points, { '': confirmed({ timeZone: UTC }) }), 'web', undefined, NOON);
    expect(plan.points.at(-1)).toMatchObject({ run: runFor(3), keptBy: [{ rule: 'newest' }] });
    expect(plan.going).toEqual(runs(0, 1, 2));
  });

  test('that is good is kept beside a newer one that is damaged', () => {
    expect(staying(dailyPoints(9), confirmed({ last: 1, timeZone: UTC }), NOON, runFor(4))).toEqual(runs(4, 8));
    const plan = planGroup(stateOf(dailyPoints(9), { '': confirmed(stale) }), 'web', runFor(4), NOON);
    expect(plan.points[4]?.keptBy).toEqual([{ rule: 'newest-good' }]);
  });
});

describe('a hold', () => {
  test('that is legal keeps a point that no rule keeps', () => {
    const state = stateOf(dailyPoints(5), { '': confirmed({ last: 1, timeZone: UTC }) }, [holdOn(1)]);
    const plan = planGroup(state, 'web', undefined, NOON);
    expect(plan.going).toEqual(runs(0, 2, 3));
    expect(plan.points[1]).toMatchObject({ keptBy: [], heldBy: ['case 1'] });
  });

  test('for reading lets a point expire: it cannot be condemned before it ends', () => {
    const state = stateOf(dailyPoints(5), { '': confirmed({ last: 1, timeZone: UTC }) }, [holdOn(1, 'read')]);
    expect(planGroup(state, 'web', undefined, NOON).going).toEqual(runs(0, 1, 2, 3));
  });
});

describe('a policy that was changed and not confirmed', () => {
  const set = { policy: { daily: 2, timeZone: UTC }, confirmed: false, at: at(NOON - HOUR) };
  const before: RetentionPolicy = { weekly: 2, timeZone: UTC };

  test('deletes only what the one before would, until its day is over', () => {
    const waiting = { ...set, previous: before };
    // The 15th was a Sunday: point 4 of 10.
    expect(staying(dailyPoints(10), waiting)).toEqual(runs(4, 8, 9));
    expect(staying(dailyPoints(10), waiting, NOON + 23 * HOUR - 1)).toEqual(runs(4, 8, 9));
    expect(staying(dailyPoints(10), waiting, NOON + 23 * HOUR)).toEqual(runs(8, 9));
    expect(staying(dailyPoints(10), { ...waiting, confirmed: true })).toEqual(runs(8, 9));
  });

  test('deletes nothing in its first day where there was none before', () => {
    expect(staying(dailyPoints(3), set)).toEqual(runs(0, 1, 2));
    expect(staying(dailyPoints(3), set, NOON + DAY)).toEqual(runs(1, 2));
  });

  test('keeps to the union at once where it keeps more', () => {
    const looser = { ...set, policy: { daily: 5, timeZone: UTC }, previous: { daily: 2, timeZone: UTC } };
    expect(staying(dailyPoints(10), looser)).toEqual(runs(5, 6, 7, 8, 9));
  });

  test('goes on waiting while the clock is set back', () => {
    expect(staying(dailyPoints(10), { ...set, previous: before }, NOON - 400 * DAY)).toEqual(
      expect.arrayContaining(runs(4, 8, 9)),
    );
  });
});

describe('what goes at once', () => {
  const policy = confirmed({ last: 5, timeZone: UTC });
  const tooMany = (points: readonly CommittedPoint[], now = NOON) =>
    planGroup(stateOf(points, { '': policy }), 'web', undefined, now).tooMany;

  test('is too much when it is more than half of what is older than a week', () => {
    expect(tooMany(dailyPoints(30))).toEqual({ old: 23, going: 23 });
    expect(tooMany(dailyPoints(10))).toBeUndefined();
    expect(tooMany(dailyPoints(11))).toEqual({ old: 4, going: 4 });
  });

  test('is never too much where all is younger than a week', () => {
    const points = Array.from({ length: 200 }, (_, n) => pointAt(n, NOON - (200 - n) * 60_000));
    expect(tooMany(points)).toBeUndefined();
  });

  test('is too much after a flood of newer points, which push a year of good ones out of `last`', () => {
    const good = Array.from({ length: 5 }, (_, n) => pointAt(n, NOON - (n + 2) * 30 * DAY)).reverse();
    const flood = Array.from({ length: 50 }, (_, n) => pointAt(100 + n, NOON - (50 - n) * 1000));
    expect(tooMany([...good, ...flood])).toEqual({ old: 5, going: 5 });
  });

  test('is judged by the newest commit where the clock was set back', () => {
    expect(tooMany(dailyPoints(30), NOON - 1000 * DAY)).toEqual({ old: 23, going: 23 });
  });
});

describe('a flood of points within an hour', () => {
  const good = dailyPoints(40);
  const policy = confirmed({ daily: 7, weekly: 4, monthly: 2, timeZone: UTC });
  /** Dated over the last forty days: into every period that counts. */
  const dates = [0, 1].flatMap((sign) => Array.from({ length: 40 }, (_, i) => NOON + (sign ? i : -i) * DAY + HOUR));

  test.each(['into the past', 'into the future'])('dated %s pushes out no more than an honest point would', (where) => {
    const dated = where === 'into the past' ? dates.slice(0, 40) : dates.slice(40);
    const fakes = dated.map((time, n) => pointAt(100 + n, NOON + HOUR, { takenAt: at(time) }));
    const honest = pointAt(99, NOON + HOUR);
    const stays = new Set(staying([...good, ...fakes], policy, NOON + 2 * HOUR));
    // What was taken yesterday can be dated so, and no more.
    for (const run of staying([...good, honest], policy, NOON + 2 * HOUR)) {
      if (run !== honest.run && run !== good.at(-2)?.run) expect(stays).toContain(run);
    }
  });
});

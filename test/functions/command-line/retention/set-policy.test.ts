import { describe, expect, test } from 'vitest';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { explainPoint } from '../../../../functions/command-line/retention/explain-point.ts';
import { groupsUnder, policyEntry } from '../../../../functions/command-line/retention/set-policy.ts';
import { tryPolicy } from '../../../../functions/command-line/retention/try-policy.ts';
import { endsOf } from '../../../../functions/retention/ends.ts';
import { planGroup } from '../../../../functions/retention/plan-group.ts';
import { confirmed, DAY, dailyPoints, NOON, pointAt, stateOf } from '../../retention/histories.ts';
import { created, runFor } from '../../vault/journal/histories.ts';

const daily = (count: number): RetentionPolicy => ({ daily: count, timeZone: 'UTC' });
const vaultJson = created.type === 'vault-created' ? created.vaultJson : undefined;
const change = (policy: RetentionPolicy, more = {}) => ({
  ...{ group: undefined, policy, confirmed: false, now: new Date(NOON) },
  ...more,
});
const entry = (state: VaultState, policy: RetentionPolicy, more = {}) =>
  policyEntry({ ...state, vaultJson }, change(policy, more), () => undefined);

describe('a policy that is set', () => {
  const state = stateOf(dailyPoints(10), { '': confirmed(daily(5)) });

  test('has to wait, or be confirmed, when it deletes more than the one in force', () => {
    expect(entry(state, daily(3))).toMatchObject({ entry: { confirmed: false }, more: [runFor(5), runFor(6)] });
    expect(entry(state, daily(3), { confirmed: true })).toMatchObject({ entry: { confirmed: true } });
  });

  test('begins at once when it deletes no more', () => {
    expect(entry(state, daily(5))).toMatchObject({ entry: { confirmed: true }, more: [] });
    expect(entry(state, { ...daily(5), weekly: 9 })).toMatchObject({ entry: { confirmed: true } });
    expect(entry(stateOf([]), daily(1))).toMatchObject({ entry: { confirmed: true } });
  });

  test('is compared with keeping everything where there was none', () => {
    expect(entry(stateOf(dailyPoints(3)), daily(2))).toMatchObject({ entry: { confirmed: false }, more: [runFor(0)] });
  });

  test('for one group is compared on that group alone, and one for all on those without their own', () => {
    const other = pointAt(20, NOON, { group: 'db' });
    const both = stateOf([...dailyPoints(10), other], { '': confirmed(daily(5)), web: confirmed(daily(8)) });
    expect(entry(both, daily(1))).toMatchObject({ entry: { confirmed: true } });
    expect(entry(both, daily(7), { group: 'web' })).toMatchObject({ entry: { group: 'web' }, more: [runFor(2)] });
    expect(groupsUnder(both, undefined)).toEqual(['db', 'web']);
  });
});

describe('an explanation', () => {
  const explained = (policy: RetentionPolicy, now = NOON) => {
    const plan = planGroup(stateOf(dailyPoints(10), { '': confirmed(policy) }), 'web', undefined, now);
    const ends = endsOf(plan, now);
    return plan.points.map((point) => explainPoint(point, ends.get(point.run), policy.timeZone));
  };

  test('says by which rules a point stays, its place in them, and what lets it go', () => {
    const points = explained({ daily: 7, weekly: 2, last: 1, timeZone: 'UTC' });
    expect(points[2]).toEqual({
      id: runFor(2),
      takenAt: '2026-11-13T12:00:00.000Z',
      ...{ keptBy: [], heldBy: [], stays: false, goesNotBefore: undefined, goesAfter: [] },
    });
    expect(points[4]).toMatchObject({
      keptBy: ['daily 6 of 7: 2026-11-15', 'weekly 2 of 2: 2026-W46'],
      goesNotBefore: '2026-11-23T00:00:00.000Z',
      goesAfter: ['points of 2 later days', 'a point of a later week'],
    });
    expect(points[9]).toMatchObject({
      keptBy: ['last 1 of 1', 'daily 1 of 7: 2026-11-20', 'weekly 1 of 2: 2026-W47', 'the newest'],
      goesNotBefore: new Date(NOON).toISOString(),
      goesAfter: ['the next point'],
    });
  });

  test('names days as the policy’s own zone does', () => {
    expect(explained({ daily: 1, timeZone: 'Pacific/Auckland' })[9]?.keptBy[0]).toBe('daily 1 of 1: 2026-11-21');
  });
});

describe('a trial', () => {
  const trial = { group: 'web', rules: 'daily=3,zone=UTC', every: undefined, duration: undefined, now: new Date(NOON) };

  test('goes over all that is remembered, deleted points too, in commit order', () => {
    const [first, ...rest] = dailyPoints(10);
    if (first === undefined) throw new Error('There are ten.');
    const deleted = { ...first, expiredAt: first.at, expiredBecause: 'x' };
    const state = { ...stateOf(rest), expired: new Map([[first.run, deleted]]) };
    expect(tryPolicy(state, trial)).toMatchObject([{ points: { past: 10, madeUp: 0 }, byRule: { daily: 3 }, most: 3 }]);
    expect(tryPolicy(state, { ...trial, rules: 'daily=10,zone=UTC' })[0]?.stands[0]?.id).toBe(first.run);
  });

  test('goes on into a made-up future', () => {
    const [tried] = tryPolicy(stateOf(dailyPoints(2)), { ...trial, every: '6h', duration: '10d' });
    expect(tried).toMatchObject({ points: { past: 2, madeUp: 40 }, byRule: { daily: 3 } });
    expect(tried?.stands.at(-1)).toMatchObject({ id: '+40', takenAt: new Date(NOON + 10 * DAY).toISOString() });
  });

  test.each([
    [{ rules: undefined }, /no policy/],
    [{ every: '1m', duration: '400d' }, /at most 10000 points/],
    [{ every: '0' }, /at most 10000 points/],
    [{ every: 'often' }, /--every/],
    [{ rules: 'daily=0' }, /keeps 0/],
  ])('of %j is refused', (wrong, words) => {
    expect(() => tryPolicy(stateOf(dailyPoints(2)), { ...trial, ...wrong })).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(words) }),
    );
  });
});

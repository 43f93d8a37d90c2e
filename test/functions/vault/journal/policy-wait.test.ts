import { expect, test } from 'vitest';
import type { RetentionPolicy, RetentionSet } from '#vault/journal/entries.ts';
import { applyEntry } from '#vault/journal/fold.ts';
import { isInForce } from '#vault/journal/policy-wait.ts';
import { ANY_GROUP, EMPTY_STATE, type SetRetention, type VaultState } from '#vault/journal/state.ts';
import { created, nameFor } from './histories.ts';

const HOUR = 3_600_000;
const BEGIN = Date.UTC(2026, 10, 20);
const daily = (count: number): RetentionPolicy => ({ daily: count, timeZone: 'UTC' });

function set(hours: number, policy: RetentionPolicy, confirmed = false): RetentionSet {
  return { type: 'retention-set', policy, confirmed, at: new Date(BEGIN + hours * HOUR).toISOString() };
}

function after(...entries: RetentionSet[]): SetRetention | undefined {
  const place = (state: VaultState, entry: RetentionSet | typeof created) =>
    applyEntry(state, { position: state.position + 1, digest: nameFor(`${state.position}`), entry });
  return [created, ...entries].reduce(place, EMPTY_STATE).retention.get(ANY_GROUP);
}

test('a policy is in force when it was confirmed, or has waited a day', () => {
  expect(isInForce(set(0, daily(7), true), BEGIN)).toBe(true);
  expect(isInForce(set(0, daily(7)), BEGIN + 24 * HOUR - 1)).toBe(false);
  expect(isInForce(set(0, daily(7)), BEGIN + 24 * HOUR)).toBe(true);
  expect(isInForce({ at: '2026-99-99T99:99:99Z', confirmed: false }, BEGIN + 1e9 * HOUR)).toBe(false);
});

test('the policy before is the one that was in force, not one that never was', () => {
  expect(after(set(0, daily(30), true), set(1, daily(7)))?.previous).toEqual(daily(30));
  expect(after(set(0, daily(30), true), set(1, daily(1)), set(2, daily(7)))?.previous).toEqual(daily(30));
  expect(after(set(0, daily(30), true), set(1, daily(1)), set(25, daily(7)))?.previous).toEqual(daily(1));
  expect(after(set(0, daily(30), true), set(1, daily(1), true), set(2, daily(7)))?.previous).toEqual(daily(1));
});

test('where there was none, there is still none while the first one waits', () => {
  expect(after(set(0, daily(7)))).not.toHaveProperty('previous');
  expect(after(set(0, daily(7)), set(1, daily(1)))).not.toHaveProperty('previous');
});

test('a clock that was set back brings no policy into force', () => {
  expect(after(set(0, daily(30), true), set(1, daily(7)), set(-500, daily(1)))?.previous).toEqual(daily(30));
});

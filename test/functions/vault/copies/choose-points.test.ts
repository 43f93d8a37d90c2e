import { expect, test } from 'vitest';
import { choosePoints } from '#vault/copies/choose-points.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';

const AT = '2026-11-20T19:15:03.000Z';
const VAULT = '0'.repeat(32);
const ALL = { group: undefined, last: undefined, again: false };

const point = (n: number, group = 'web', copyOf?: number): CommittedPoint => ({
  ...{ run: String(n), group, point: '', takenAt: AT, at: AT, disks: [], position: n },
  ...(copyOf === undefined ? {} : { copyOf: { vault: VAULT, run: String(copyOf) } }),
});
const state = (...points: CommittedPoint[]) => ({
  points: new Map(points.map((each) => [each.run, each])),
  expired: new Map(),
});
const source = state(point(1), point(2, 'db'), point(3), point(4), point(5, 'db'));
const runs = (points: readonly CommittedPoint[]) => points.map(({ run }) => run);

test('everything is copied once, oldest first', () => {
  expect(runs(choosePoints(VAULT, source, state(), ALL))).toEqual(['1', '2', '3', '4', '5']);
  const target = state(point(10, 'web', 1), point(11, 'db', 2), point(12, 'web', 3));
  expect(runs(choosePoints(VAULT, source, target, ALL))).toEqual(['4', '5']);
});

test('a group whose points were never copied loses none for another group that was copied by itself', () => {
  const target = state(point(10, 'web', 1), point(11, 'web', 3), point(12, 'web', 4));
  expect(runs(choosePoints(VAULT, source, target, ALL))).toEqual(['2', '5']);
});

test('copies of another vault do not count', () => {
  const target = state({ ...point(10, 'web', 3), copyOf: { vault: 'f'.repeat(32), run: '3' } });
  expect(choosePoints(VAULT, source, target, ALL)).toHaveLength(5);
});

test('what the other vault let go is not copied again, unless asked for', () => {
  const target = state(point(10, 'web', 3));
  expect(runs(choosePoints(VAULT, source, target, ALL))).toEqual(['2', '4', '5']);
  expect(runs(choosePoints(VAULT, source, target, { ...ALL, again: true }))).toEqual(['1', '2', '4', '5']);
  const deleted = {
    ...state(),
    expired: new Map([['10', { ...point(10, 'web', 3), expiredAt: AT, expiredBecause: '' }]]),
  };
  expect(runs(choosePoints(VAULT, source, deleted, { ...ALL, again: true }))).toEqual(['1', '2', '4', '5']);
});

test('what an earlier copy could not make is tried again, though newer ones are there', () => {
  const target = state(point(10, 'web', 3), point(11, 'db', 5));
  const missed = new Set(['1', '3', 'gone']);
  expect(runs(choosePoints(VAULT, source, target, { ...ALL, missed }))).toEqual(['1', '4']);
  expect(runs(choosePoints(VAULT, source, target, { ...ALL, group: 'db', missed }))).toEqual([]);
});

test('a group, or the newest of each', () => {
  expect(runs(choosePoints(VAULT, source, state(), { ...ALL, group: 'db' }))).toEqual(['2', '5']);
  expect(runs(choosePoints(VAULT, source, state(), { ...ALL, last: 1 }))).toEqual(['4', '5']);
  expect(runs(choosePoints(VAULT, source, state(), { ...ALL, group: 'web', last: 2 }))).toEqual(['3', '4']);
});

test('only what somebody else chose, and of that what is not there yet', () => {
  const only = new Set(['1', '4', '5']);
  expect(runs(choosePoints(VAULT, source, state(), { ...ALL, only }))).toEqual(['1', '4', '5']);
  const target = state(point(10, 'web', 4));
  expect(runs(choosePoints(VAULT, source, target, { ...ALL, only }))).toEqual(['5']);
  expect(runs(choosePoints(VAULT, source, state(), { ...ALL, only, last: 2 }))).toEqual(['4', '5']);
});

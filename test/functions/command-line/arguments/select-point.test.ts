import { describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { type CommittedPoint, EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import {
  readPointArgument,
  selectDisks,
  selectPoint,
} from '../../../../functions/command-line/arguments/select-point.ts';

const FIRST = '20261120-191503-7c1e9a';
const SECOND = '20261120-191504-000001';
const THIRD = '20261121-000000-ffffff';

const point = (run: string, ...disks: string[]): CommittedPoint => ({
  run,
  group: 'default',
  point: '0'.repeat(64),
  takenAt: '2026-11-20T19:15:03.000Z',
  at: '2026-11-20T19:15:03.000Z',
  disks: disks.map((name) => ({ name, size: 1, manifest: '0'.repeat(64) })),
  position: 1,
});

const state: VaultState = {
  ...EMPTY_STATE,
  points: new Map([
    [FIRST, point(FIRST, 'root', 'data')],
    [SECOND, point(SECOND, 'data')],
    [THIRD, point(THIRD, 'root')],
  ]),
};

const select = (text: string) => selectPoint(state, readPointArgument(text)).run;
const codeFrom = (text: string) => {
  try {
    return select(text);
  } catch (error) {
    return codeOf(error);
  }
};

describe('a point', () => {
  test.each([
    [FIRST, FIRST],
    ['20261120-191504', SECOND],
    ['20261121', THIRD],
    ['latest', THIRD],
    ['latest/data', SECOND],
    ['20261121/root', THIRD],
  ])('%s is %s', (text, run) => expect(select(text)).toBe(run));

  test.each([
    ['20261120', 'point-unknown'],
    ['x', 'point-unknown'],
    ['../../etc', 'point-unknown'],
    ['latest/swap', 'disk-unknown'],
    ['', 'bad-input'],
    ['/root', 'bad-input'],
    ['latest/', 'bad-input'],
  ])('%j is refused with %s', (text, code) => expect(codeFrom(text)).toBe(code));

  test('that may be several is answered with their ids', () => {
    expect(() => select('20261120')).toThrow(`${FIRST}, ${SECOND}`);
  });

  test('cannot be found in an empty vault', () => {
    expect(() => selectPoint(EMPTY_STATE, readPointArgument('latest'))).toThrow('no restore point yet');
  });
});

describe('the disks of a point', () => {
  const found = { id: FIRST, disks: [{ name: 'root' }, { name: 'a/b' }] };

  test('are all, or the one that is named, be there a slash in its name', () => {
    expect(selectDisks(found, undefined)).toHaveLength(2);
    expect(selectDisks(found, readPointArgument('latest/a/b').disk)).toEqual([{ name: 'a/b' }]);
  });

  test('are listed when none is called so', () => {
    expect(() => selectDisks(found, 'swap')).toThrow('It has: root, a/b.');
  });
});

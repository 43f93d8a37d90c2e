import { expect, test } from 'vitest';
import { readDuration } from '../../../../functions/command-line/arguments/read-duration.ts';

test.each([
  ['7d', 168],
  ['36h', 36],
  ['2w', 336],
  ['90m', 1.5],
  ['0', 0],
  ['0d', 0],
  ['1.5d', 36],
])('%s are %d hours', (text, hours) => {
  expect(readDuration(text, '--grace')).toBe(hours);
});

test.each(['7', '7y', '-1d', 'd', '', '1e9d', '9999999w', '7 days'])('%j is no time', (text) => {
  expect(() => readDuration(text, '--grace')).toThrowError(
    expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('--grace is a time') }),
  );
});

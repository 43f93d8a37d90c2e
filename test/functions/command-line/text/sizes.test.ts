import { describe, expect, test } from 'vitest';
import { formatCount, formatRate, formatRatio, formatSize } from '../../../../functions/command-line/text/sizes.ts';

describe('a size', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [65_536, '64 KiB'],
    [102_349, '100 KiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [45.3 * 1024 ** 2, '45.3 MiB'],
    [1024 ** 4, '1 TiB'],
    [5 * 1024 ** 6, '5120 PiB'],
  ])('of %d bytes is %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});

test('a rate needs time to have passed', () => {
  expect(formatRate(1024 ** 2, 2)).toBe('512 KiB/s');
  expect(formatRate(1024 ** 2, 0)).toBe('-');
});

test('a ratio needs something to compare', () => {
  expect(formatRatio(260, 100)).toBe('2.6 : 1');
  expect(formatRatio(99_960, 100)).toBe('1000 : 1');
  expect(formatRatio(0, 100)).toBe('-');
  expect(formatRatio(100, 0)).toBe('-');
});

test('a count knows its plural', () => {
  expect(formatCount(1, 'entry', 'entries')).toBe('1 entry');
  expect(formatCount(2, 'entry', 'entries')).toBe('2 entries');
  expect(formatCount(12_345, 'disk')).toBe('12,345 disks');
});

import { describe, expect, test } from 'vitest';
import { readSize } from '../../../../functions/command-line/arguments/read-size.ts';
import { readInteger, readPercent, readWord } from '../../../../functions/command-line/arguments/read-value.ts';

describe('a size', () => {
  test.each([
    ['1500', 1500],
    ['100M', 100 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    ['64 KiB', 65_536],
    ['64kb/s', 65_536],
    ['7B', 7],
  ])('%s is %d bytes', (text, bytes) => expect(readSize(text, '--bandwidth')).toBe(bytes));

  test.each(['', '0', '-1', 'fast', '100X', '1e9', '99999999999999T', 'M', '1.2.3M'])(
    '%j is refused by name',
    (text) => {
      expect(() => readSize(text, '--bandwidth')).toThrow(/^--bandwidth is given as a size/);
    },
  );
});

test.each(['0', '257', '1.5', '-1', 'two', '', '1e1'])('%j is no number of workers', (text) => {
  expect(() => readInteger(text, '--workers', 1, 256)).toThrow('--workers is a whole number of 1 to 256');
});

test('a percentage becomes a share', () => {
  expect(readInteger('256', '--workers', 1, 256)).toBe(256);
  expect(readPercent('0.1', '--audit')).toBeCloseTo(0.001);
  expect(readPercent('5%', '--audit')).toBe(0.05);
  for (const text of ['101', '-1', 'all', '']) expect(() => readPercent(text, '--audit')).toThrow('a percentage');
});

test('a word that is not allowed is answered with those that are', () => {
  expect(readWord('raw', '--format', ['raw', 'qcow2'])).toBe('raw');
  expect(() => readWord('vmdk', '--format', ['raw', 'qcow2'])).toThrow('--format is raw or qcow2; found "vmdk".');
});

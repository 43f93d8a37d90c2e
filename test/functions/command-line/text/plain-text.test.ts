import { expect, test } from 'vitest';
import { plainText } from '../../../../functions/command-line/text/plain-text.ts';

test('nothing that a terminal would obey gets through', () => {
  expect(plainText('a\u001b[2Jb\nc\u0000\u202e')).toBe('a\\x1b[2Jb\\nc\\x00\\u202e');
});

test('what is too long is cut, and half a character is no trouble', () => {
  expect(plainText('x'.repeat(10_000), 10)).toBe(`${'x'.repeat(9)}…`);
  expect(plainText('\ud800')).toBe('\ufffd');
  expect(plainText('aaaa\u{1f600}', 5)).toHaveLength(6 - 1);
});

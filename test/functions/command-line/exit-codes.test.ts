import { expect, test } from 'vitest';
import { EkkoError, type ErrorCode } from '#vault/errors.ts';
import { EXIT_CODE_HELP, ExitCode, exitCodeOf } from '../../../functions/command-line/exit-codes.ts';

test.each<[ErrorCode, number]>([
  ['bad-input', 2],
  ['point-unknown', 2],
  ['disk-unknown', 2],
  ['wrong-key', 4],
  ['no-escrow', 4],
  ['busy', 5],
  ['damaged', 1],
  ['store-failed', 1],
  ['object-exists', 1],
])('an error %s ends with %d', (code, exitCode) => expect(exitCodeOf(new EkkoError(code, 'why'))).toBe(exitCode));

test('an error that is not ours ends with 1', () => {
  expect(exitCodeOf(new TypeError('why'))).toBe(1);
  expect(exitCodeOf(undefined)).toBe(1);
});

test('the help tells every exit code', () => {
  for (const code of Object.values(ExitCode)) expect(EXIT_CODE_HELP).toMatch(new RegExp(`^  ${code}  `, 'm'));
});

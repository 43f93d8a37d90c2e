import { codeOf, type ErrorCode } from '#vault/errors.ts';

/**
 * What `ekko` ends with.
 *
 * | code | means |
 * |---|---|
 * | 0 | done |
 * | 1 | failed; the message says why |
 * | 2 | called wrongly: an option, an argument, or a name that is not there |
 * | 3 | finished, but something is damaged or wrong: findings of `verify` and `doctor`, losses of a best-effort restore |
 * | 4 | the key is wrong, missing, or not in safe keeping |
 * | 5 | busy: somebody else is working on this disk or socket; try again later |
 * | 130 | interrupted (SIGINT, SIGTERM); nothing is lost |
 */
export const ExitCode = {
  done: 0,
  failed: 1,
  calledWrongly: 2,
  damaged: 3,
  key: 4,
  busy: 5,
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** The table above for `--help`. */
export const EXIT_CODE_HELP = `Exit codes:
  0    done
  1    failed; the message says why
  2    called wrongly: an option, an argument, or a name that is not there
  3    finished, but something is damaged or wrong (verify, doctor, best-effort restore)
  4    the key is wrong, missing, or not in safe keeping
  5    busy: somebody else is working on this disk or socket; try again later
  130  interrupted; nothing is lost`;

const BY_CODE: Partial<Readonly<Record<ErrorCode, ExitCode>>> = {
  'bad-input': ExitCode.calledWrongly,
  'point-unknown': ExitCode.calledWrongly,
  'disk-unknown': ExitCode.calledWrongly,
  'wrong-key': ExitCode.key,
  'no-escrow': ExitCode.key,
  busy: ExitCode.busy,
};

/** The exit code of an error, by its public code; an error that is not ours is `failed`. */
export function exitCodeOf(error: unknown): ExitCode {
  const code = codeOf(error);
  return (code === undefined ? undefined : BY_CODE[code]) ?? ExitCode.failed;
}

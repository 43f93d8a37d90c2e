import { codeOf, EkkoError } from '#vault/errors.ts';

/** `target-failed` with what to do, from whatever the system or QEMU said; errors of ours with another code stay as they are. */
export function targetFailure(path: string, doing: string, cause: unknown): EkkoError {
  const code = codeOf(cause);
  if (cause instanceof EkkoError && code !== undefined && code !== 'qemu-failed') return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  return new EkkoError('target-failed', `Cannot ${doing} ${path}: ${said.trim()}. ${adviceFor(said)}`, { cause });
}

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ENOSPC|EDQUOT|no space|quota/i, 'Make room, or choose a target with more, and resume the restore.'],
  [/EIO|input\/output/i, 'The device under it fails: restore to another one.'],
  [/EACCES|EPERM|EROFS|permission|read-only/i, 'Run where it may be written.'],
  [/ENOENT|no such file/i, 'Check the path: its folder must exist.'],
  [/EBUSY|lock/i, 'Something else uses it: end that first.'],
];

function adviceFor(said: string): string {
  return ADVICE.find(([pattern]) => pattern.test(said))?.[1] ?? 'Correct that, then resume the restore.';
}

/** The error of a target that cannot be taken as it is. */
export function refuseTarget(path: string, found: string, advice: string): EkkoError {
  return new EkkoError('target-failed', `${path} ${found}. ${advice}`);
}

import { codeOf, type ErrorCode } from '#vault/errors.ts';
import type { SegmentRun } from '#vault/words.ts';

/** What is wrong with an object. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  /** The pack's segments that are lost; undefined: the object is no use at all. */
  readonly lost: readonly SegmentRun[] | undefined;
}

/** An error as a problem of the whole object. Rethrows what is no error of ours. */
export function problemOf(error: unknown): Problem {
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) throw error;
  return { code, message: error.message, lost: undefined };
}

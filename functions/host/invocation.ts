import { codeOf, EkkoError, type ErrorCode } from '#vault/errors.ts';

/** What passes between the function host and its worker threads. */
export interface WorkerSettings {
  /** Function name, to the path of its bundle. */
  readonly bundles: Readonly<Record<string, string>>;
}

export interface Invocation {
  readonly id: number;
  readonly name: string;
  readonly event: unknown;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly failure?: Failure;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** An error as data. A batch that failed whole gives the cause of its first record. */
export function describeFailure(error: unknown): Failure {
  const [cause] = recordErrors(error);
  const original = cause ?? error;
  return {
    code: codeOf(original) ?? 'function-failed',
    message: original instanceof Error ? original.message : String(original),
  };
}

export function failureError({ code, message }: Failure): EkkoError {
  return new EkkoError(code, message);
}

function recordErrors(error: unknown): unknown[] {
  if (typeof error !== 'object' || error === null || !('recordErrors' in error)) return [];
  return Array.isArray(error.recordErrors) ? error.recordErrors : [];
}

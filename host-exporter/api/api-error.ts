import { codeOf, type ErrorCode } from '#vault/errors.ts';

/** An answer that refuses, as `application/problem+json` (RFC 9457) with a `code` for programs. `message` is for people; nothing secret is in it. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/** Of Ekko's own errors. What is not here is a fault of the host: 502. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'bad-input': 400,
  'bad-format': 502,
  'disk-unknown': 404,
  busy: 409,
  'run-ended': 409,
  // The server is not in a state for it: to ask again at once would not help.
  'qemu-failed': 409,
};

/** What an error is to the caller. An unknown one says no more than that it happened. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) {
    return new ApiError(500, 'internal', 'The exporter failed. Its log says more.');
  }
  return new ApiError(STATUS[code] ?? 502, code, error.message);
}

export function problemOf({ status, code, message }: ApiError): object {
  return { type: 'about:blank', status, code, title: code, detail: message };
}

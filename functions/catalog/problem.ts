import { codeOf, EkkoError, type ErrorCode } from '#vault/errors.ts';

/** HTTP status by error code; what is not listed is a fault of the service. */
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  'bad-input': 400,
  'token-refused': 401,
  forbidden: 403,
  'no-escrow': 403,
  'wrong-key': 403,
  'not-found': 404,
  'point-unknown': 404,
  'disk-unknown': 404,
  'run-ended': 409,
  'run-incomplete': 409,
  'run-under-way': 409,
  'object-exists': 409,
  'audit-failed': 409,
  condemned: 409,
  busy: 409,
  held: 409,
  'too-large': 413,
  'part-refused': 422,
  'bad-format': 422,
  damaged: 422,
  'too-many-requests': 429,
  'cloud-failed': 502,
  'exporter-failed': 502,
  'store-failed': 502,
};

/** An answer of the API: a status and a JSON document. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** RFC 9457, with the public code. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** Of `run-under-way`: which one. */
  readonly run?: string;
}

const LONGEST_DETAIL = 4000;
export const PROBLEM_TYPE = 'application/problem+json';

/** What an error is answered with. Of an error that is not ours nothing is told: the log has it. */
export function problemAnswer(error: unknown): Answer {
  const code = codeOf(error);
  const known = code !== undefined && error instanceof Error;
  const status = (code === undefined ? undefined : STATUS[code]) ?? 500;
  const detail = known ? tellable(error.message) : 'The service failed; its log says why.';
  const body: Problem = { status, code: known ? code : 'unexpected', detail, ...runIn(error) };
  return { status, body, headers: { 'content-type': PROBLEM_TYPE, ...challengeOf(error, status) } };
}

/** The database of the journals is the operator's: tenants are not told where it is, nor what to do about it. */
function tellable(message: string): string {
  if (!DATABASE.test(message)) return message.slice(0, LONGEST_DETAIL);
  return 'The database of this service does not do what it should. Try again later; the log of the service says why.';
}

const DATABASE = /\b(?:mariadb|postgresql):\/\//;

function runIn(error: unknown): Pick<Problem, 'run'> {
  const run: unknown = error instanceof EkkoError && 'run' in error ? error.run : undefined;
  return typeof run === 'string' ? { run } : {};
}

function challengeOf(error: unknown, status: number): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Keystone' };
  if (status !== 429) return {};
  const seconds = error instanceof Error && 'retryAfter' in error ? Number(error.retryAfter) : 1;
  return { 'retry-after': String(Math.max(1, Math.ceil(seconds))) };
}

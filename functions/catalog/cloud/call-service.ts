import { setTimeout as pause } from 'node:timers/promises';
import { EkkoError, type ErrorCode } from '#vault/errors.ts';

/** One call of a JSON API. */
export interface ServiceCall {
  /** For messages: `Nova`, `The exporter of host c1`. */
  readonly service: string;
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
  /** Ends the call before its time. */
  readonly signal?: AbortSignal;
  /** Also tried again where it is no GET, because the call is idempotent. */
  readonly again?: boolean;
  /** The code of an error of the service's own. */
  readonly failure?: ErrorCode;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or undefined. */
  readonly body: unknown;
}

const TRIES = 3;
const FIRST_PAUSE_MS = 60;
const LARGEST_ANSWER = 16 * 1024 ** 2;
const PASSING: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/**
 * Calls a service and gives back what it answered, be it an error or not; redirects are never followed. Where nothing answers, or only
 * errors that pass, idempotent calls are tried three times. Throws `cloud-failed` (or `failure`) naming the service.
 */
export async function callService(call: ServiceCall): Promise<ServiceAnswer> {
  const tries = call.method === undefined || call.method === 'GET' || call.again === true ? TRIES : 1;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await callOnce(call);
      if (attempt === tries || !PASSING.has(answer.status)) return answer;
    } catch (cause) {
      if (attempt === tries || call.signal?.aborted === true) throw unanswered(call, cause);
    }
    await pause(FIRST_PAUSE_MS * 4 ** (attempt - 1));
  }
}

/** As `callService`, for answers of 2xx; any other is an error: 401 `token-refused`, 403 `forbidden`, 404 `not-found`. */
export async function callForResult(call: ServiceCall): Promise<ServiceAnswer> {
  const answer = await callService(call);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw refusal(call, answer);
}

async function callOnce({
  url,
  method = 'GET',
  headers,
  body,
  timeoutMs = 15_000,
  signal,
}: ServiceCall): Promise<ServiceAnswer> {
  const answer = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { accept: 'application/json', ...(body === undefined ? {} : JSON_BODY), ...headers },
    signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, headers: answer.headers, body: parse(await readBounded(answer)) };
}

const JSON_BODY = { 'content-type': 'application/json' };

async function readBounded(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of answer.body ?? []) {
    size += piece.length;
    if (size > LARGEST_ANSWER) throw new Error(`its answer has more than ${LARGEST_ANSWER} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unanswered({ service, failure = 'cloud-failed' }: ServiceCall, cause: unknown): EkkoError {
  return new EkkoError(failure, `${service} does not answer: ${reasonOf(cause)}. Try again later.`, { cause });
}

/** Of a failed fetch: what went wrong below it, without the URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  if (error.name === 'TimeoutError') return 'it took too long';
  if (error.cause instanceof Error && 'code' in error.cause) return String(error.cause.code);
  return error.cause instanceof Error ? error.cause.message.slice(0, 200) : error.message.slice(0, 200);
}

const CODES: Readonly<Record<number, ErrorCode>> = { 401: 'token-refused', 403: 'forbidden', 404: 'not-found' };

/** The error of an answer, with what the service said of it. */
export function refusal({ service, failure = 'cloud-failed' }: ServiceCall, answer: ServiceAnswer): EkkoError {
  const said = saidIn(answer.body);
  const words = said === undefined ? '' : `: ${said}`;
  const advice = answer.status === 401 ? ' Get a new token.' : '';
  return new EkkoError(CODES[answer.status] ?? failure, `${service} answered ${answer.status}${words}.${advice}`);
}

/** The words in an error of an OpenStack service or of Ekko's own; every service has its own form. */
function saidIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  for (const value of Object.values(body)) {
    const inner: unknown =
      typeof value === 'object' && value !== null && 'message' in value ? value.message : undefined;
    if (typeof inner === 'string') return clean(inner);
  }
  const { detail, message } = body as { detail?: unknown; message?: unknown };
  const found = [detail, message].find((each) => typeof each === 'string');
  return typeof found === 'string' ? clean(found) : undefined;
}

function clean(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .replace(/\.$/, '')
    .slice(0, 300);
}

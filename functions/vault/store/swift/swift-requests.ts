import { EkkoError } from '../../errors.ts';
import type { Authenticator } from './authenticator.ts';
import type { Exchange, HttpAnswer, HttpRequest } from './http-exchange.ts';
import { networkFailure } from './network-failure.ts';
import { PassingFailure, type Patience, readRetryAfter, withRetries } from './patience.ts';

/** A request below the storage URL. */
export interface SwiftRequest extends Omit<HttpRequest, 'url' | 'headers'> {
  /** Encoded, with the query: `container/name?format=json`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For messages: `Cannot write swift://container/name`. */
  readonly what: string;
}

/**
 * Makes something of an answer. Throws a `PassingFailure` to have the request sent again, anything else to give up.
 * `attempt` counts from 1; after the first, the request may have been carried out before.
 */
export type Judge<T> = (answer: HttpAnswer, attempt: number) => T | Promise<T>;

/** Sends a request with a token until `judge` is content. A token that is refused is renewed once an attempt. */
export type SwiftRequests = <T>(request: SwiftRequest, judge: Judge<T>) => Promise<T>;

export function openRequests(authenticator: Authenticator, exchange: Exchange, patience: Patience): SwiftRequests {
  return (request, judge) =>
    withRetries(patience, async (attempt) => judge(await authorised(authenticator, exchange, request), attempt));
}

async function authorised(
  authenticator: Authenticator,
  exchange: Exchange,
  request: SwiftRequest,
): Promise<HttpAnswer> {
  const session = await authenticator.authenticate();
  const answer = await sendOnce(exchange, session, request);
  if (answer.status !== 401) return answer;
  const again = await sendOnce(exchange, await authenticator.renew(session.token), request);
  if (again.status !== 401) return again;
  const advice =
    'an application credential’s access rules may not allow this request, or Swift may ask another Keystone than the one that gave it';
  throw new EkkoError(
    'store-failed',
    `${request.what}: Swift refuses a token that has just been issued (401); ${advice}.`,
  );
}

async function sendOnce(
  exchange: Exchange,
  { url, token }: { url: string; token: string },
  request: SwiftRequest,
): Promise<HttpAnswer> {
  const { path, headers, what, ...rest } = request;
  try {
    return await exchange({ ...rest, url: `${url}/${path}`, headers: { ...headers, 'x-auth-token': token } });
  } catch (error) {
    throw networkFailure(error, what);
  }
}

/** Too many requests, timeouts, rate limits of Swift (498), and what a proxy says while its servers are away. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 498, 499]);

const ADVICE: Readonly<Record<number, string>> = {
  403: 'the role or the access rules of the credential do not allow it (docs/operations.md)',
  404: 'the account is not there',
  413: 'a quota of the container or account is used up, or objects of this size are not taken',
  507: 'the cluster is full',
};

/** What to throw for an answer that is none of those a request can have: passing or final, in words. */
export function refusalOf({ status, headers }: HttpAnswer, what: string): Error {
  const said = `${what}: Swift answers ${status}${transactionOf(headers['x-trans-id'])}`;
  if (status >= 500 || PASSING.has(status)) {
    return new PassingFailure(said, { retryAfterMs: readRetryAfter(headers['retry-after'], Date.now()) });
  }
  if (status < 400) return oddAnswer(what, `Swift answers ${status}, which makes no sense here`);
  return new EkkoError('store-failed', `${said}: ${ADVICE[status] ?? 'it does not take the request'}.`);
}

/** For an answer that no Swift gives: a page of a proxy, another object's bytes, a listing out of order. */
export function oddAnswer(what: string, found: string): PassingFailure {
  return new PassingFailure(`${what}: ${found}`, { kind: 'odd' });
}

/** What whoever runs the cloud finds in the logs. */
function transactionOf(id: unknown): string {
  return typeof id === 'string' && /^[\w.-]{1,80}$/.test(id) ? ` (transaction ${id})` : '';
}

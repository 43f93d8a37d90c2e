import { codeOf, EkkoError } from '../errors.ts';
import type { S3Place } from './s3-url.ts';

/** The store's answer, or its body, is not what S3 sends. It may be better the next time. */
export class OddAnswer extends Error {
  override readonly name = 'OddAnswer';
}

const PASSING_CODES: ReadonlySet<string> = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'TimeoutError', 'OddAnswer'],
  ...[
    'SlowDown',
    'ServiceUnavailable',
    'InternalError',
    'RequestTimeout',
    'OperationAborted',
    'ConditionalRequestConflict',
    'ConcurrentModification',
  ],
  // A byte was lost or changed on the way.
  ...['BadDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody'],
]);

/** What an error of the SDK says, as far as it says it. */
interface Failure {
  /** Of S3 (`NoSuchKey`), of Node (`ECONNRESET`), or of the SDK (`TimeoutError`). */
  readonly code: string;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
}

export function failureOf(error: unknown): Failure {
  const { name, code, $metadata } = fieldsOf(error);
  const status = typeof $metadata === 'object' ? Number(fieldsOf($metadata)['httpStatusCode'] ?? 0) : 0;
  // Errors of connections are told apart by `code`, also where one broke within the text of an error; answers by `name`.
  const broken = typeof code === 'string' && (status === 0 || PASSING_CODES.has(code));
  const said = broken ? code : name;
  return { code: String(said ?? 'unknown').slice(0, 60), status };
}

const PASSING_STATUS: ReadonlySet<number> = new Set([408, 429, 498, 500, 502, 503, 504]);

/** True for what may go by itself, so that the same request is worth another try. */
export function isPassing(error: unknown): boolean {
  const { code, status } = failureOf(error);
  if (PASSING_CODES.has(code) || PASSING_STATUS.has(status)) return true;
  // The SDK has learnt the store's time from the answer, and signs by it from now on.
  return fieldsOf(fieldsOf(error)['$metadata'])['clockSkewCorrected'] === true;
}

const LONGEST_WAIT_MS = 60_000;

/** What the store asks to wait for, at most a minute; 0 when it does not. */
export function retryAfterMs(error: unknown): number {
  const headers = fieldsOf(fieldsOf(fieldsOf(error)['$response'])['headers']);
  const seconds = Number(headers['retry-after'] ?? 0);
  return seconds > 0 ? Math.min(seconds * 1000, LONGEST_WAIT_MS) : 0;
}

/** What to throw for an error met while doing `what` (`Cannot read s3://bucket/key`); ours stay as they are. */
export function s3Failure(error: unknown, what: string, place: S3Place): unknown {
  if (codeOf(error) !== undefined) return error;
  const { code, status } = failureOf(error);
  const found = saidOf(error, code, status);
  return new EkkoError('store-failed', `${what}: ${found}. ${adviceFor(code, status, place)}.`, {
    cause: plain(error),
  });
}

function saidOf(error: unknown, code: string, status: number): string {
  if (error instanceof OddAnswer) return error.message;
  if (status !== 0) return `${safe(code)} (HTTP ${status})`;
  // What the SDK refuses before it asks has no code: `Region is missing`.
  return safe(code === 'Error' && error instanceof Error ? error.message.slice(0, 120) : code);
}

/** Errors of the SDK hold the request, with its signature and session token, and the connection. */
function plain(error: unknown): Error {
  const cause = new Error(String(error));
  if (error instanceof Error && error.stack !== undefined) cause.stack = error.stack;
  return cause;
}

function adviceFor(code: string, status: number, place: S3Place): string {
  // The store chooses the code: `constructor` is none.
  const advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : BY_STATUS[status];
  return advice?.(place) ?? otherAdvice(code, status, place);
}

type Advice = (place: S3Place) => string;

const renew: Advice = () => 'The credentials have expired: renew them';
const otherKey: Advice = () =>
  'The store does not know this access key: look at AWS_ACCESS_KEY_ID, and at the endpoint';
const otherRegion: Advice = () => "The bucket is in another region: name its region by region=… in the vault's URL";
const unreachable: Advice = (place) => `The store cannot be reached: look at ${originOf(place)}, and at the network`;
const wait: Advice = () => 'The store is busy or partly down; it was asked several times. Try again later';
const full: Advice = () => 'The store is full, or the quota used up: free space, or raise the quota';
const changedOnTheWay: Advice = () => 'Bytes were changed on the way: look at the network, and at proxies in between';
const rights: Advice = ({ bucket, prefix }) =>
  `Give these credentials the right to get, put and delete objects in ${bucket}/${prefix}* and to list the bucket`;
const noCreate: Advice = () =>
  'This store cannot create an object only if it is absent (If-None-Match), which Ekko relies on: keep the vault elsewhere';
const notS3: Advice = (place) => `This is not how S3 answers: look at the endpoint, ${originOf(place)}`;

/** By the code of S3, of Node or of the SDK. */
const ADVICE: Readonly<Record<string, Advice>> = {
  NoSuchBucket: ({ bucket }) => `The bucket ${bucket} is not there: make it first, or correct the vault's URL`,
  AccessDenied: rights,
  AllAccessDisabled: rights,
  InvalidAccessKeyId: otherKey,
  SignatureDoesNotMatch: () =>
    'The secret key does not fit the access key (AWS_SECRET_ACCESS_KEY), or the region is another',
  RequestTimeTooSkewed: () =>
    `This machine's clock says ${new Date().toISOString()}, the store's another time: set the clock`,
  RequestExpired: () =>
    `This machine's clock says ${new Date().toISOString()}, the store's another time: set the clock`,
  ExpiredToken: renew,
  TokenRefreshRequired: renew,
  InvalidToken: renew,
  AuthorizationHeaderMalformed: otherRegion,
  PermanentRedirect: otherRegion,
  TemporaryRedirect: otherRegion,
  IllegalLocationConstraintException: otherRegion,
  NotImplemented: noCreate,
  QuotaExceeded: full,
  SlowDown: wait,
  ServiceUnavailable: wait,
  BadDigest: changedOnTheWay,
  XAmzContentSHA256Mismatch: changedOnTheWay,
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  EPIPE: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  TimeoutError: unreachable,
  CredentialsProviderError: () =>
    'No credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
  OddAnswer: notS3,
};

const BY_STATUS: Readonly<Record<number, Advice>> = {
  301: otherRegion,
  401: otherKey,
  403: rights,
  404: notS3,
  429: wait,
  498: wait,
  500: wait,
  501: noCreate,
  502: wait,
  503: wait,
  504: wait,
  507: full,
};

/** OpenSSL and Node have dozens of codes for certificates, and S3 of its own. */
function otherAdvice(code: string, status: number, place: S3Place): string {
  if (/CERT|SELF_SIGNED|^ERR_TLS|^ERR_SSL|^EPROTO/.test(code))
    return `The certificate of ${originOf(place)} is not trusted: name its authority's file by NODE_EXTRA_CA_CERTS`;
  // What the SDK says when an answer has no code of S3 in it.
  if (status !== 0 && (code === 'Error' || code.startsWith('Unknown'))) return notS3(place);
  if (place.endpoint === undefined && place.region === undefined)
    return 'Look at that, and at the region: region=… in the URL, or AWS_REGION';
  return "Look at that in the store's log, then try again";
}

function originOf({ endpoint, region }: S3Place): string {
  return endpoint ?? `AWS${region === undefined ? '' : ` in ${region}`}`;
}

/** Codes come from the store. */
function safe(code: string): string {
  return code.replace(/[^\w .-]/g, '?');
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

import { EkkoError } from '../../errors.ts';
import { StaleConnection } from './http-exchange.ts';
import { PassingFailure } from './patience.ts';
import { TooLongAnswer } from './receive-body.ts';

/** What does not pass by waiting. */
const FINAL: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no host of that name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself: name it by OS_CACERT',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an unknown authority: name that by OS_CACERT',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of an unknown authority: name that by OS_CACERT',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an unknown authority: name that by OS_CACERT',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  EPROTO: 'it does not speak TLS: look at http: and https:',
};

/** The failure for a request that brought no answer: `what` says what cannot be done. Only codes and our own words get into it. */
export function networkFailure(error: unknown, what: string): Error {
  if (error instanceof StaleConnection)
    return new PassingFailure(`${what}: the connection was closed`, { kind: 'at-once' });
  if (error instanceof TooLongAnswer) return new PassingFailure(`${what}: ${error.message}`, { kind: 'odd' });
  const code = codeOf(error);
  const why = FINAL[code ?? ''];
  if (why !== undefined) return new EkkoError('store-failed', `${what}: ${why} (${code}).`);
  return new PassingFailure(`${what}: ${code ?? (error instanceof Error ? error.message : 'unknown error')}`);
}

/** The first code in an error, its causes, and the errors it gathers (one for each address of a host). */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  const inner = 'errors' in error && Array.isArray(error.errors) ? error.errors[0] : (error as Error).cause;
  return inner === error ? undefined : codeOf(inner);
}

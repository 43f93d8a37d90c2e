import { EkkoError } from '../../errors.ts';
import type { ApplicationCredential, PasswordCredential } from './cloud-settings.ts';
import { asRecord } from './fields.ts';
import type { Exchange, HttpAnswer } from './http-exchange.ts';
import { networkFailure } from './network-failure.ts';
import { PassingFailure, type Patience, readRetryAfter, withRetries } from './patience.ts';

/** What Keystone gave. */
export interface Token {
  readonly token: string;
  /** From its issue to its end, by Keystone's clock. */
  readonly lifetimeMs: number;
  /** As it came: for `storageUrlIn`. */
  readonly catalogue: unknown;
}

type Credential = PasswordCredential | ApplicationCredential;

const LARGEST_CATALOGUE = 4 * 1024 * 1024;
/** Swift takes headers of 8 KiB. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/** Asks Keystone for a token of the credential's project, with retries. Throws `store-failed` with what is wrong. */
export async function issueToken(exchange: Exchange, patience: Patience, credential: Credential): Promise<Token> {
  const answer = await post(exchange, patience, credential, scopedBody(credential));
  if (answer.status === 201) return readToken(answer, credential.authUrl);
  throw await refusalOf(exchange, patience, credential, answer.status);
}

/** Answers below 500, but for those that ask to wait. */
function post(exchange: Exchange, patience: Patience, { authUrl }: Credential, auth: object): Promise<HttpAnswer> {
  const url = `${authUrl}/auth/tokens`;
  const body = [Buffer.from(JSON.stringify({ auth }))];
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  return withRetries(patience, async () => {
    const answer = await exchange({ method: 'POST', url, headers, body, most: LARGEST_CATALOGUE }).catch(
      (error: unknown) => {
        throw networkFailure(error, `Keystone at ${authUrl} cannot be reached`);
      },
    );
    if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) return answer;
    const retryAfterMs = readRetryAfter(answer.headers['retry-after'], Date.now());
    throw new PassingFailure(`Keystone at ${authUrl} answers ${answer.status}`, { retryAfterMs });
  });
}

function identityOf(credential: Credential): object {
  if (credential.kind === 'application-credential') {
    const application_credential = { ...credential.credential, secret: credential.secret };
    return { methods: ['application_credential'], application_credential };
  }
  return { methods: ['password'], password: { user: { ...credential.user, password: credential.password } } };
}

function scopedBody(credential: Credential): object {
  const identity = identityOf(credential);
  // An application credential has its project in itself.
  return credential.kind === 'password' ? { identity, scope: { project: credential.project } } : { identity };
}

function readToken({ headers, body }: HttpAnswer, authUrl: string): Token {
  const found = asRecord(asRecord(parse(body))?.['token']);
  const token = headers['x-subject-token'];
  const lifetimeMs = Date.parse(String(found?.['expires_at'])) - Date.parse(String(found?.['issued_at']));
  if (typeof token !== 'string' || !TOKEN.test(token) || !(lifetimeMs > 0)) {
    throw new EkkoError('store-failed', `What answers at ${authUrl} is no Keystone: look at OS_AUTH_URL.`);
  }
  return { token, lifetimeMs, catalogue: found?.['catalog'] };
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

async function refusalOf(
  exchange: Exchange,
  patience: Patience,
  credential: Credential,
  status: number,
): Promise<EkkoError> {
  const at = `Keystone at ${credential.authUrl}`;
  const say = (sentence: string) => new EkkoError('store-failed', sentence);
  if (status === 401 && credential.kind === 'application-credential') {
    return say(
      `${at} refuses the application credential: it is unknown, has expired, or its secret is wrong. Make a new one.`,
    );
  }
  if (status === 401 && credential.kind === 'password')
    return say(await whatIsWrong(exchange, patience, credential, at));
  if (status === 403)
    return say(`${at} forbids a token (403): the account may be locked, or its password have expired.`);
  if (status === 404) return say(`There is no Keystone API v3 at ${credential.authUrl} (404): look at OS_AUTH_URL.`);
  return say(
    `${at} answers ${status} to a request for a token: look at OS_AUTH_URL and the names of user, project and domains.`,
  );
}

/** Keystone says the same of a wrong password and of a wrong project; a token of no project tells which. */
async function whatIsWrong(
  exchange: Exchange,
  patience: Patience,
  credential: PasswordCredential,
  at: string,
): Promise<string> {
  const { status } = await post(exchange, patience, credential, {
    identity: identityOf(credential),
    scope: 'unscoped',
  });
  const called = (thing: PasswordCredential['user']) => JSON.stringify('id' in thing ? thing.id : thing.name);
  if (status === 201) {
    return `${at} knows the user ${called(credential.user)}, but no project ${called(credential.project)} in which it has a role.`;
  }
  return `${at} refuses the user ${called(credential.user)}: no such user in that domain, it is disabled, or the password is wrong.`;
}

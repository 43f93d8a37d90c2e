import pRetry from 'p-retry';
import { EkkoError } from '../errors.ts';
import { fingerprintOf, type Identity, newIdentity } from './identity.ts';
import { identityInText, keyFileText } from './key-file.ts';
import type { KeyProvider } from './key-provider.ts';

/** OpenStack's Key Manager, and the right to use it. */
export interface KeyManager {
  /** Without `/v1` and without a last slash: from the settings of whoever runs Ekko, never from a tenant. */
  readonly endpoint: string;
  /** The caller's token, asked for at each request. Secret. */
  readonly token: () => string;
}

/** An identity that Barbican keeps. */
export interface StoredIdentity {
  readonly identity: Identity;
  /** Id of the secret, a UUID. */
  readonly secret: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LARGEST_ANSWER = 16_384;
const ATTEMPT_MS = 20_000;
const RETRIES = 3;
const FIRST_PAUSE_MS = 300;
const ADVICE: Readonly<Record<number, string>> = {
  401: 'the token has ended, or is not for this cloud',
  403: 'the role of the token does not allow it (Barbican wants `creator`, or `member` where its new defaults are in force)',
  404: 'there is no such secret in this project: the key of a vault is gone with it, unless another recipient has one',
  413: 'a quota of the Key Manager is used up',
};

/**
 * The identity whose key file is the payload of secret `secret` in Barbican. Throws `bad-input` (no UUID), `wrong-key` (no such secret,
 * or no right to it), `bad-format` (something else is in it), `store-failed` (Barbican fails).
 */
export function barbicanKeyProvider(manager: KeyManager, secret: string): KeyProvider {
  if (!UUID.test(secret))
    throw new EkkoError('bad-input', `A Barbican secret is named by a UUID, not ${shown(secret)}.`);
  const origin = `Barbican secret ${secret}`;
  return {
    origin,
    async identity() {
      const payload = await call(manager, `Cannot read ${origin}`, `/v1/secrets/${secret}/payload`, {
        headers: { accept: 'text/plain' },
      });
      return identityInText(payload, origin);
    },
  };
}

/**
 * Makes a fresh identity and has Barbican keep it, as the text of a key file: what `openstack secret get --payload` gives is one.
 * Throws `store-failed`, and `wrong-key` where the token has no right to make secrets.
 */
export async function storeNewIdentity(manager: KeyManager, name: string): Promise<StoredIdentity> {
  const { identity, privateKey } = newIdentity();
  const body = JSON.stringify({
    ...{ name, secret_type: 'opaque', payload_content_type: 'text/plain' },
    payload: keyFileText(identity, privateKey),
  });
  const what = 'Cannot store a new key in Barbican';
  const answer = await call(manager, what, '/v1/secrets', {
    ...{ method: 'POST', body, headers: { 'content-type': 'application/json', accept: 'application/json' } },
  });
  const secret = secretIn(answer);
  if (secret === undefined) throw new EkkoError('store-failed', `${what}: it answers without naming the secret.`);
  // What cannot be read back protects nothing.
  const kept = await barbicanKeyProvider(manager, secret).identity([]);
  if (fingerprintOf(kept.publicKey) === fingerprintOf(identity.publicKey)) return { identity, secret };
  throw new EkkoError('store-failed', `${what}: secret ${secret} gives another key back than it was given.`);
}

/** Removes a secret; one that is gone already is no failure. Throws `store-failed`, `wrong-key`. */
export async function removeStoredIdentity(manager: KeyManager, secret: string): Promise<void> {
  if (!UUID.test(secret))
    throw new EkkoError('bad-input', `A Barbican secret is named by a UUID, not ${shown(secret)}.`);
  const gone = { gone: true };
  await call(manager, `Cannot delete Barbican secret ${secret}`, `/v1/secrets/${secret}`, { method: 'DELETE' }, gone);
}

/** The id in `{"secret_ref": "http…/v1/secrets/<uuid>"}`; which host it names is Barbican's own belief. */
function secretIn(answer: string): string | undefined {
  const found = /"secret_ref"\s*:\s*"[^"]*\/secrets\/([0-9a-f-]{36})"/.exec(answer)?.[1];
  return found !== undefined && UUID.test(found) ? found : undefined;
}

class Passing extends Error {}

/** The answer's text. What Barbican says is not repeated in errors: it may hold what was sent. */
async function call(
  { endpoint, token }: KeyManager,
  what: string,
  path: string,
  request: { method?: string; body?: string; headers?: Record<string, string> },
  { gone = false } = {},
): Promise<string> {
  const attempt = async () => {
    const answer = await send(`${endpoint}${path}`, token(), request).catch(() => {
      throw new Passing(`${what}: Barbican at ${endpoint} cannot be reached`);
    });
    if (answer.ok) return readText(answer, what);
    await answer.body?.cancel();
    const { status } = answer;
    if (gone && status === 404) return '';
    const said = `${what}: Barbican answers ${status}`;
    if (status >= 500 || status === 429) throw new Passing(said);
    const code = [401, 403, 404].includes(status) ? 'wrong-key' : 'store-failed';
    throw new EkkoError(code, `${said}: ${ADVICE[status] ?? 'it does not take the request'}.`);
  };
  return pRetry(attempt, {
    ...{ retries: RETRIES, minTimeout: FIRST_PAUSE_MS, randomize: true },
    shouldRetry: ({ error }) => error instanceof Passing,
  }).catch((error: unknown) => {
    if (!(error instanceof Passing)) throw error;
    throw new EkkoError('store-failed', `${error.message} (${RETRIES + 1} attempts). Try again later.`);
  });
}

function send(
  url: string,
  token: string,
  { headers, ...request }: { method?: string; body?: string; headers?: Record<string, string> },
): Promise<Response> {
  return fetch(url, {
    ...request,
    headers: { ...headers, 'x-auth-token': token },
    redirect: 'manual',
    signal: AbortSignal.timeout(ATTEMPT_MS),
  });
}

async function readText(answer: Response, what: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of answer.body ?? []) {
      size += part.length;
      if (size > LARGEST_ANSWER) break;
      parts.push(part);
    }
  } catch {
    throw new Passing(`${what}: the answer of Barbican broke off`);
  }
  if (size <= LARGEST_ANSWER) return Buffer.concat(parts).toString();
  throw new EkkoError(
    'bad-format',
    `${what}: the answer has more than ${LARGEST_ANSWER} bytes; that is no key of Ekko.`,
  );
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

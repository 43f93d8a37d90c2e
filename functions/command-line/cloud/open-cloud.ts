import { EkkoError } from '#vault/errors.ts';
import { trustAuthority } from '#vault/store/swift/authority.ts';
import { type CloudSettings, readCloudSettings } from '#vault/store/swift/cloud-settings.ts';
import { asRecord } from '#vault/store/swift/fields.ts';
import { type Exchange, type HttpRequest, openExchange } from '#vault/store/swift/http-exchange.ts';
import { issueToken } from '#vault/store/swift/keystone.ts';
import { networkFailure } from '#vault/store/swift/network-failure.ts';
import { PATIENCE, type Patience } from '#vault/store/swift/patience.ts';
import { endpointOf } from './endpoints.ts';

export interface CloudAnswer {
  readonly status: number;
  /** Parsed JSON, or text where it is none. */
  readonly body: unknown;
}

/** Somebody's session in a project of an OpenStack. */
export interface Cloud {
  /** Ends in `/v3`. */
  readonly authUrl: string;
  /** Application credentials may not do all that their owner may. */
  readonly byApplicationCredential: boolean;
  /** URL of the first of these service types that the project's catalogue has, without a last slash. */
  endpoint(...types: readonly string[]): string | undefined;
  /** One request with the session's token: objects go as JSON, text as text. Any status is an answer; throws `store-failed` where none comes. */
  call(
    method: HttpRequest['method'],
    url: string,
    body?: object | string,
    headers?: Record<string, string>,
  ): Promise<CloudAnswer>;
  /** What Keystone says of the session itself. */
  whoAmI(): Promise<CloudAnswer>;
}

const LARGEST_ANSWER = 16 * 1024 * 1024;
/** A person waits: what does not answer soon is told as it is. A Mistral with other work takes its time over a workbook, though. */
const HASTE: Patience = { ...PATIENCE, silenceMs: 90_000, attemptMs: 120_000, retries: 1 };

/** Logs in as OS_* variables or OS_CLOUD say. Throws `bad-input` for settings that are wrong or missing, `store-failed` with what Keystone has against them. */
export async function openCloud(environment: NodeJS.ProcessEnv): Promise<Cloud> {
  const settings = readCloudSettings(environment);
  const { credential } = settings;
  if (credential.kind === 'token') {
    throw new EkkoError(
      'bad-input',
      'A token and a storage URL are not enough here: give a password or an application credential (OS_*).',
    );
  }
  if (settings.caFile !== undefined) await trustAuthority(settings.caFile);
  const exchange = openExchange(HASTE, environment);
  const { token, catalogue } = await issueToken(exchange, HASTE, credential);
  return cloudOf(settings, { exchange, token, catalogue, authUrl: credential.authUrl });
}

interface Session {
  readonly exchange: Exchange;
  readonly token: string;
  readonly catalogue: unknown;
  readonly authUrl: string;
}

function cloudOf(settings: CloudSettings, { exchange, token, catalogue, authUrl }: Session): Cloud {
  const call: Cloud['call'] = async (method, url, body, more = {}) => {
    const bytes =
      body === undefined ? undefined : [Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))];
    const type = typeof body === 'string' ? 'text/plain' : 'application/json';
    const headers = {
      'x-auth-token': token,
      accept: '*/*',
      ...(bytes && { 'content-type': type }),
      ...more,
    };
    const request = { method, url, headers, most: LARGEST_ANSWER, ...(bytes && { body: bytes }) };
    const answer = await exchange(request).catch((error: unknown) => {
      throw new EkkoError('store-failed', networkFailure(error, `${new URL(url).origin} cannot be reached`).message);
    });
    return { status: answer.status, body: parsed(answer.body) };
  };
  return {
    authUrl,
    byApplicationCredential: settings.credential.kind === 'application-credential',
    endpoint: (...types) => endpointOf(catalogue, types, settings),
    call,
    whoAmI: () => call('GET', `${authUrl}/auth/tokens?nocatalog`, undefined, { 'x-subject-token': token }),
  };
}

function parsed(body: Buffer): unknown {
  const text = body.toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What a service says went wrong: OpenStack has several places for it. */
export function reasonOf({ status, body }: CloudAnswer): string {
  const { faultstring, error, message, explanation, detail } = asRecord(body) ?? {};
  const words =
    faultstring ??
    detail ??
    asRecord(error)?.['message'] ??
    message ??
    explanation ??
    (typeof body === 'string' ? body : '');
  return `${status} ${String(words).replace(/\s+/g, ' ').slice(0, 300)}`.trim();
}

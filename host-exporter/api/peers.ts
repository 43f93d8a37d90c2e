import type { Exchange, HttpAnswer, HttpRequest } from '#vault/store/swift/http-exchange.ts';
import { issueToken } from '#vault/store/swift/keystone.ts';
import { networkFailure } from '#vault/store/swift/network-failure.ts';
import type { Patience } from '#vault/store/swift/patience.ts';
import type { ExporterSettings } from './exporter-settings.ts';

/** The services that the exporter asks: Keystone, the catalog, the object store. */
export interface Peers {
  readonly exchange: Exchange;
  readonly patience: Patience;
}

/** One request with a JSON answer, which is untrusted; a body that is none gives undefined. Rejects when no answer comes. */
export async function askJson(
  { exchange }: Peers,
  {
    what,
    json,
    headers,
    ...request
  }: Omit<HttpRequest, 'most' | 'body' | 'headers'> & {
    readonly what: string;
    readonly json?: object;
    readonly headers: Readonly<Record<string, string>>;
  },
): Promise<HttpAnswer & { readonly json: unknown }> {
  const body = json === undefined ? {} : { body: [Buffer.from(JSON.stringify(json))] };
  const type: Record<string, string> = json === undefined ? {} : { 'content-type': 'application/json' };
  const all = {
    ...request,
    ...body,
    headers: { ...headers, ...type, accept: 'application/json' },
    most: LARGEST_ANSWER,
  };
  const answer = await exchange(all).catch((error: unknown) => {
    throw networkFailure(error, what);
  });
  return { ...answer, json: parse(answer.body) };
}

/** A ticket lists restore points, a token the catalogue. */
const LARGEST_ANSWER = 8 * 1024 * 1024;

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Gives a token of Ekko's service user, from Keystone or from before. */
export interface ServiceLogin {
  token(): Promise<string>;
  /** The next one asked for is another. */
  forget(token: string): void;
}

/** Before a token's end. */
const RENEW_BEFORE_MS = 120_000;

export function openServiceLogin(
  { exchange, patience }: Peers,
  { keystone }: Pick<ExporterSettings, 'keystone'>,
): ServiceLogin {
  let asked: Promise<{ token: string; until: number }> | undefined;
  const credential = {
    kind: 'password',
    authUrl: keystone.auth_url.replace(/\/$/, ''),
    user: { name: keystone.username, domain: { name: keystone.user_domain_name } },
    password: keystone.password,
    project: { name: keystone.project_name, domain: { name: keystone.project_domain_name } },
  } as const;

  async function ask() {
    const began = performance.now();
    const { token, lifetimeMs } = await issueToken(exchange, patience, credential);
    return { token, until: began + lifetimeMs - RENEW_BEFORE_MS };
  }

  async function token(): Promise<string> {
    const last = await asked?.catch(() => undefined);
    if (last !== undefined && last.until > performance.now()) return last.token;
    asked = ask();
    return (await asked).token;
  }

  return {
    token,
    forget: (refused) => {
      void asked?.then((one) => {
        if (one.token === refused) asked = undefined;
      });
    },
  };
}

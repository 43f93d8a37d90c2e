import { EkkoError } from '../../errors.ts';
import { storageUrlIn } from './catalogue.ts';
import type { CloudSettings } from './cloud-settings.ts';
import type { Exchange } from './http-exchange.ts';
import { issueToken } from './keystone.ts';
import type { Patience } from './patience.ts';

/** Where to send requests, and the right to. `url` has no last slash. */
export interface Session {
  readonly url: string;
  readonly token: string;
}

/** Also what openstack-swift-client takes. */
export interface Authenticator {
  /** The present session; Keystone is asked when there is none or it is about to end, once for all who wait. */
  authenticate(): Promise<Session>;
  /** A session with another token than `refused`, which the service did not take. Throws `store-failed` where there is no other. */
  renew(refused: string): Promise<Session>;
}

interface TimedSession extends Session {
  /** By this process's own clock, which no one sets. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/** Before its end, a token's last fifth, but no more than five minutes, is for renewing it. */
const RENEW_BEFORE_MS = 300_000;

/** Sessions of a cloud. Nothing is asked until one is needed. */
export function openAuthenticator(settings: CloudSettings, exchange: Exchange, patience: Patience): Authenticator {
  const { credential } = settings;
  if (credential.kind === 'token') return readyAuthenticator({ url: credential.storageUrl, token: credential.token });
  const newToken = () => issueToken(exchange, patience, credential);
  let current: TimedSession | undefined;
  let asked: Promise<TimedSession> | undefined;

  function ask(): Promise<TimedSession> {
    asked ??= newSession().finally(() => {
      asked = undefined;
    });
    return asked;
  }

  async function newSession(): Promise<TimedSession> {
    const now = performance.now();
    const { token, lifetimeMs, catalogue } = await newToken();
    const url = settings.storageUrl ?? storageUrlIn(catalogue, settings);
    const renewAt = now + Math.max(lifetimeMs * 0.8, lifetimeMs - RENEW_BEFORE_MS);
    current = { url, token, renewAt, endsAt: now + lifetimeMs };
    return current;
  }

  return {
    async authenticate() {
      const now = performance.now();
      if (current === undefined || now >= current.endsAt) return ask();
      // What Keystone says to this is heard by whoever needs it, when the present token has ended.
      if (now >= current.renewAt) ask().catch(() => undefined);
      return current;
    },
    async renew(refused) {
      if (current?.token === refused) current = undefined;
      return current ?? ask();
    },
  };
}

function readyAuthenticator(session: Session): Authenticator {
  return {
    authenticate: async () => session,
    renew: async () => {
      throw new EkkoError(
        'store-failed',
        'Swift refuses the token of OS_TOKEN (401): it has ended, or is for another OS_STORAGE_URL. Get a new one.',
      );
    },
  };
}

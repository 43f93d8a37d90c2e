import { EkkoError } from '#vault/errors.ts';
import type { KeystoneAccess } from '../settings.ts';
import { callService } from './call-service.ts';

/** Ekko's own token, by which it asks Keystone about those of others; renewed before it ends. */
export interface ServiceSession {
  /** Throws `cloud-failed`. */
  token(): Promise<string>;
  /** Keystone did not take this one: the next call gets another. */
  forget(token: string): void;
}

const RENEW_BEFORE_MS = 120_000;

export function openServiceSession(keystone: KeystoneAccess, now: () => number): ServiceSession {
  let current: { token: string; expiresAt: number } | undefined;
  let logging: Promise<string> | undefined;
  const renew = async () => {
    current = await logIn(keystone);
    return current.token;
  };
  return {
    token() {
      if (current !== undefined && current.expiresAt - RENEW_BEFORE_MS > now()) return Promise.resolve(current.token);
      logging ??= renew().finally(() => {
        logging = undefined;
      });
      return logging;
    },
    forget(token) {
      if (current?.token === token) current = undefined;
    },
  };
}

async function logIn({ url, user, password, project, user_domain, project_domain }: KeystoneAccess) {
  const identity = {
    methods: ['password'],
    password: { user: { name: user, domain: { name: user_domain }, password } },
  };
  const scope = { project: { name: project, domain: { name: project_domain } } };
  const answer = await callService({
    service: 'Keystone',
    url: `${url}/auth/tokens?nocatalog`,
    method: 'POST',
    again: true,
    body: { auth: { identity, scope } },
    timeoutMs: 10_000,
  });
  const token = answer.headers.get('x-subject-token');
  const { token: said } = (answer.body ?? {}) as { token?: { expires_at?: string } };
  if (answer.status === 201 && token !== null) return { token, expiresAt: Date.parse(said?.expires_at ?? '') };
  const found = `Keystone answered ${answer.status} to Ekko's own user ${user}`;
  throw new EkkoError('cloud-failed', `${found}. Check user, password and project in the settings file.`);
}

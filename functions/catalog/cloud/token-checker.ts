import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import type { KeystoneAccess } from '../settings.ts';
import { callService, refusal, type ServiceCall } from './call-service.ts';
import { openServiceSession } from './service-session.ts';

/** Asks Keystone who a token belongs to. */
export interface TokenChecker {
  /** Throws `token-refused` for a token that Keystone does not know, `forbidden` for one without a project, `cloud-failed`. */
  check(token: string): Promise<Caller>;
}

/** How long an answer is believed; a token that is revoked works so long at most. */
const BELIEVED_MS = 60_000;
/** A refused token is asked about again sooner, and not each time. */
const REFUSED_MS = 5000;
const MOST_TOKENS = 20_000;
const LONGEST_TOKEN = 8192;

/** Answers are kept by the token's SHA-256, never past its end. `now`: milliseconds since 1970. */
export function openTokenChecker(keystone: KeystoneAccess, now: () => number = Date.now): TokenChecker {
  const session = openServiceSession(keystone, now);
  const known = new LRUCache<string, { readonly caller?: Omit<Caller, 'token'>; readonly until: number }>({
    max: MOST_TOKENS,
  });
  const asking = new Map<string, Promise<Omit<Caller, 'token'> | undefined>>();

  const ask = async (digest: string, token: string) => {
    const caller = await whoHas(keystone, session, token);
    const until = caller === undefined ? now() + REFUSED_MS : Math.min(caller.expiresAt, now() + BELIEVED_MS);
    known.set(digest, { ...(caller === undefined ? {} : { caller }), until });
    return caller;
  };
  const find = (digest: string, token: string) => {
    const found = known.get(digest);
    if (found !== undefined && found.until > now()) return Promise.resolve(found.caller);
    const running = asking.get(digest) ?? ask(digest, token).finally(() => asking.delete(digest));
    asking.set(digest, running);
    return running;
  };
  return {
    async check(token) {
      if (!/^[\x21-\x7e]+$/.test(token) || token.length > LONGEST_TOKEN) throw refused();
      const caller = await find(createHash('sha256').update(token).digest('hex'), token);
      if (caller === undefined || caller.expiresAt <= now()) throw refused();
      return { ...caller, token };
    },
  };
}

type Session = ReturnType<typeof openServiceSession>;

async function whoHas({ url }: KeystoneAccess, session: Session, token: string) {
  for (let attempt = 1; ; attempt++) {
    const ours = await session.token();
    const call: ServiceCall = {
      service: 'Keystone',
      url: `${url}/auth/tokens?nocatalog`,
      headers: { 'x-auth-token': ours, 'x-subject-token': token },
      timeoutMs: 10_000,
    };
    const answer = await callService(call);
    if (answer.status === 200) return callerOf(answer.body);
    if (answer.status === 404) return undefined;
    // Our own session was ended before its time.
    session.forget(ours);
    if (answer.status === 401 && attempt === 1) continue;
    if (answer.status < 500) throw notAllowed(answer.status);
    throw refusal(call, answer);
  }
}

/** The parts of Keystone's answer that matter; a token of a domain or of nothing has no project. */
function callerOf(body: unknown): Omit<Caller, 'token'> {
  const { token } = (body ?? {}) as { token?: KeystoneToken };
  const expiresAt = Date.parse(token?.expires_at ?? '');
  const project = token?.project?.id;
  const user = token?.user?.id;
  if (typeof user !== 'string' || Number.isNaN(expiresAt)) {
    throw new EkkoError('cloud-failed', 'Keystone answered something that is no token.');
  }
  if (typeof project !== 'string') {
    throw new EkkoError('forbidden', 'The token is of no project. Get one that is scoped to a project.');
  }
  const roles = (token?.roles ?? []).flatMap(({ name }) => (typeof name === 'string' ? [name.toLowerCase()] : []));
  return { project, user, roles, expiresAt };
}

interface KeystoneToken {
  readonly expires_at?: string;
  readonly project?: { readonly id?: unknown };
  readonly user?: { readonly id?: unknown };
  readonly roles?: readonly { readonly name?: unknown }[];
}

function refused(): EkkoError {
  return new EkkoError(
    'token-refused',
    'The token is not valid: it has expired, was revoked, or is none of this cloud. Get a new one.',
  );
}

function notAllowed(status: number): EkkoError {
  const advice = 'Give the user that the settings name the role service in its project.';
  return new EkkoError('cloud-failed', `Keystone does not let Ekko check tokens (it answered ${status}). ${advice}`);
}

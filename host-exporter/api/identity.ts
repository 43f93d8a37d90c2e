import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { asObject, asObjects, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import { ApiError } from './api-error.ts';
import { askJson, type Peers, type ServiceLogin } from './peers.ts';

/** Who sent a request, as Keystone says. */
export interface Caller {
  /** Id of the project that the token is for. */
  readonly project: string;
  readonly roles: readonly string[];
}

/** Longest that Keystone is not asked again: a revoked token is good for no longer. */
const CACHED_MS = 60_000;
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/**
 * Asks Keystone whose token it is; the answer is kept by the token's digest for up to a minute and never past its end. Throws `ApiError`
 * 401 for what is no token of a project, 503 when Keystone cannot be asked.
 */
export type Identify = (token: string | undefined) => Promise<Caller>;

export function openIdentify(peers: Peers, login: ServiceLogin, authUrl: string): Identify {
  const known = new LRUCache<string, { readonly caller: Caller; readonly until: number }>({ max: 1000 });
  const url = `${authUrl.replace(/\/$/, '')}/auth/tokens`;

  async function ask(token: string): Promise<JsonObject> {
    for (const last of [false, true]) {
      const own = await login.token();
      const headers = { 'x-auth-token': own, 'x-subject-token': token };
      const answer = await askJson(peers, { method: 'GET', url, headers, what: 'Keystone cannot be asked' });
      if (answer.status === 200) return asObject(memberOf(asObject(answer.json, 'an answer'), 'token'), 'a token');
      if (answer.status === 404) throw unauthorised('Keystone does not know the token: it has ended, or never was.');
      if (answer.status !== 401 || last) throw new Error(`Keystone answers ${answer.status}`);
      login.forget(own);
    }
    throw new Error('not reached');
  }

  return async (token) => {
    if (token === undefined || !TOKEN.test(token)) throw unauthorised('X-Auth-Token is missing.');
    const key = createHash('sha256').update(token).digest('base64');
    const found = known.get(key);
    if (found && found.until > performance.now()) return found.caller;
    const answer = await ask(token).catch((error: unknown) => {
      if (error instanceof ApiError) throw error;
      throw new ApiError(503, 'keystone-unavailable', 'Keystone cannot be asked whose token this is. Try again.');
    });
    const caller = readCaller(answer);
    const left = Date.parse(textOf(answer, 'expires_at')) - Date.now();
    if (!(left > 0)) throw unauthorised('The token has ended.');
    known.set(key, { caller, until: performance.now() + Math.min(CACHED_MS, left) });
    return caller;
  };
}

function unauthorised(message: string): ApiError {
  return new ApiError(401, 'unauthenticated', message);
}

function readCaller(token: JsonObject): Caller {
  const project = memberOf(token, 'project');
  if (project === undefined) throw unauthorised('The token is for no project.');
  const roles = asObjects(memberOf(token, 'roles') ?? [], 'roles').map((role) => textOf(role, 'name'));
  return { project: textOf(asObject(project, 'a project'), 'id'), roles };
}

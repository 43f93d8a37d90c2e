import { codeOf } from '#vault/errors.ts';
import type { Caller } from './caller.ts';

/** With whose token work goes on that several callers ask after: of those that came by, the one that lasts longest and is taken. */
export interface ActingCaller {
  current(): Caller;
  /** A caller came by. It acts from now on, unless the one that does lasts longer and is not known to be refused. */
  offer(next: Caller): void;
  /** This token was refused, or may have been: another one that came by acts, or the next that comes. */
  refuse(token: string): void;
  /** Does something with the token; once more with another one, where it is refused and there is one. Throws what the work throws. */
  act<T>(work: (caller: Caller) => Promise<T>): Promise<T>;
}

/** `now`: milliseconds since 1970. */
export function actingCaller(first: Caller, now: () => number = Date.now): ActingCaller {
  let [current, refused] = [first, false];
  /** Came by, and does not act. */
  let spare: Caller | undefined;
  const take = (next: Caller) => {
    spare = refused ? undefined : current;
    [current, refused] = [next, false];
  };
  const acting: ActingCaller = {
    current: () => current,
    offer(next) {
      if (next.token === current.token) return;
      if (refused || current.expiresAt <= now() || next.expiresAt >= current.expiresAt) take(next);
      else spare = next;
    },
    refuse(token) {
      if (token === spare?.token) spare = undefined;
      if (token !== current.token) return;
      refused = true;
      if (spare !== undefined && spare.expiresAt > now()) take(spare);
    },
    async act(work) {
      const by = current;
      try {
        return await work(by);
      } catch (error) {
        if (codeOf(error) !== 'token-refused') throw error;
        acting.refuse(by.token);
        if (by.token === current.token) throw error;
        return work(current);
      }
    },
  };
  return acting;
}

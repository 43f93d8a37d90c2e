import { setTimeout as pause } from 'node:timers/promises';
import pRetry from 'p-retry';
import { isPassing, retryAfterMs } from './s3-errors.ts';

/** How long a store is waited for. */
export interface Patience {
  /** Requests in all. */
  readonly attempts: number;
  /** Pause before the second request, at most doubled by chance; each further pause is twice as long, up to ten seconds. */
  readonly firstPauseMs: number;
  /** To connect. */
  readonly connectMs: number;
  /** With no byte coming or going. */
  readonly silenceMs: number;
}

/** A store that restarts is waited for, about a minute; one that is gone is told within minutes. */
export const PATIENCE: Patience = { attempts: 9, firstPauseMs: 100, connectMs: 10_000, silenceMs: 60_000 };
const LONGEST_PAUSE_MS = 10_000;
const LONGEST_TIME_MS = 300_000;

/** Does `work` again while it fails by what may pass: a lost connection, a busy store, an answer that broke off. */
export function withPatience<T>({ attempts, firstPauseMs }: Patience, work: () => Promise<T>): Promise<T> {
  return pRetry(work, {
    retries: attempts - 1,
    minTimeout: firstPauseMs,
    maxTimeout: LONGEST_PAUSE_MS,
    maxRetryTime: LONGEST_TIME_MS,
    randomize: true,
    shouldRetry: ({ error }) => isPassing(error),
    onFailedAttempt: async ({ error, retriesLeft }) => {
      const asked = retriesLeft > 0 && isPassing(error) ? retryAfterMs(error) : 0;
      if (asked > 0) await pause(asked);
    },
  });
}

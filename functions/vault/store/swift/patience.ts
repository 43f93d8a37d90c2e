import pRetry from 'p-retry';
import { EkkoError } from '../../errors.ts';

/** How long things may take, in milliseconds, and how often they are tried again. */
export interface Patience {
  readonly connectMs: number;
  /** For a server's word that it wants a large body; then it is sent unasked, as there are servers that do not know the question. */
  readonly continueMs: number;
  /** Without a byte sent or received. */
  readonly silenceMs: number;
  /** One request, from the first byte to the last. */
  readonly attemptMs: number;
  readonly retries: number;
  /** Before the second attempt; then twice as long each time, and at random up to twice that. */
  readonly firstPauseMs: number;
  /** Also for what the server asks for by Retry-After. */
  readonly longestPauseMs: number;
}

/** In all 24 to 47 seconds of pauses: a proxy's restart is bridged, a person is not kept waiting for ever. */
export const PATIENCE: Patience = {
  connectMs: 10_000,
  continueMs: 1000,
  silenceMs: 60_000,
  attemptMs: 600_000,
  retries: 6,
  firstPauseMs: 500,
  longestPauseMs: 30_000,
};

/** Attempts for an answer that makes no sense: damage on the way passes, a wrong address does not. */
const ODD_ATTEMPTS = 3;
/** Retries without a pause: what stood in the way is known, and gone. */
const QUICK_RETRIES = 3;

/** A failure that may pass by itself. The message is a sentence without its full stop; nothing secret is in it. */
export class PassingFailure extends Error {
  readonly retryAfterMs: number;
  readonly kind: 'busy' | 'odd' | 'at-once';

  constructor(
    message: string,
    { kind = 'busy', retryAfterMs = 0 }: Partial<Pick<PassingFailure, 'kind' | 'retryAfterMs'>> = {},
  ) {
    super(message);
    this.name = 'PassingFailure';
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Calls `attempt` with 1, 2, … until it does not throw a `PassingFailure`; any other error is final. After the last attempt throws
 * `store-failed` with the last failure's words.
 */
export async function withRetries<T>(patience: Patience, attempt: (number: number) => Promise<T>): Promise<T> {
  let [attempts, quick] = [0, 0];
  const { retries, firstPauseMs, longestPauseMs } = patience;
  try {
    return await pRetry(() => attempt(++attempts), {
      ...{ retries, minTimeout: firstPauseMs, maxTimeout: longestPauseMs, randomize: true },
      shouldConsumeRetry: ({ error }) => !(isPassing(error) && error.kind === 'at-once' && ++quick <= QUICK_RETRIES),
      shouldRetry: ({ error }) => isPassing(error) && (error.kind !== 'odd' || attempts < ODD_ATTEMPTS),
      onFailedAttempt: async ({ error, retryDelay, retriesLeft }) => {
        const asked = isPassing(error) ? Math.min(error.retryAfterMs, longestPauseMs) : 0;
        if (retriesLeft > 0 && asked > retryDelay) await pause(asked - retryDelay);
      },
    });
  } catch (error) {
    if (!isPassing(error)) throw error;
    const times = attempts === 1 ? '' : ` (${attempts} attempts)`;
    throw new EkkoError(
      'store-failed',
      `${error.message}${times}. Try again later; if it stays so, ask whoever runs the cloud.`,
    );
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function isPassing(error: unknown): error is PassingFailure {
  return error instanceof PassingFailure;
}

/** Milliseconds that a Retry-After header asks for (seconds, or a date); 0 where it makes no sense. */
export function readRetryAfter(header: string | undefined, now: number): number {
  if (header === undefined) return 0;
  const wait = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) && wait > 0 ? wait : 0;
}

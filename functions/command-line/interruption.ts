/** Why work ends early: somebody said so. Its message is for people. */
export class Interrupted extends Error {
  readonly code = 'interrupted';

  constructor(signal: string, options?: { cause?: unknown }) {
    super(`Interrupted by ${signal}; nothing is lost.`, options);
    this.name = 'Interrupted';
  }
}

export interface Interruption {
  /** Aborted at the first signal, with an `Interrupted` as its reason. */
  readonly signal: AbortSignal;
  /** Signals act as they do by default again. */
  ignore(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A terminal gives Ctrl-C to `npx` and to us, and npx passes it on: two signals that were one. */
const SAME_MS = 500;
/** 128 + SIGINT, as a shell reports it. */
const INTERRUPTED = 130;

/** The first signal asks the work to end cleanly; a second one, half a second later or more, ends the process at once. */
export function watchSignals(onFirst: () => void): Interruption {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      if (performance.now() - firstAt >= SAME_MS) process.exit(INTERRUPTED);
      return;
    }
    firstAt = performance.now();
    controller.abort(new Interrupted(name));
    onFirst();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    ignore: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

/** Rejects with the signal's reason as soon as it is aborted; what `work` does then is of no interest any more. */
export async function unlessAborted(signal: AbortSignal | undefined, work: Promise<void>): Promise<void> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    work.catch(() => undefined);
    aborted.promise.catch(() => undefined);
  }
}

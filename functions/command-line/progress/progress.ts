import type { Screen } from '../screen.ts';
import { formatSize } from '../text/sizes.ts';
import { formatDuration } from '../text/times.ts';
import { type Estimate, newEstimator } from './estimate.ts';

/** Shows how far a piece of work is: a bar on a terminal, else a line every few seconds. Always on standard error. */
export interface Progress {
  /** Bytes done of the total, which is known from the first byte on. */
  update(doneBytes: number, totalBytes: number): void;
  /** All bytes are done, and something else goes on: `finishing`. */
  phase(text: string): void;
  /** Takes the bar away; nothing is shown after it. Idempotent. */
  end(): void;
}

export interface ProgressState extends Estimate {
  readonly done: number;
  readonly total: number;
  /** What goes on when all bytes are done. */
  readonly phase: string | undefined;
}

/** How a state is shown. */
export interface ProgressView {
  show(state: ProgressState): void;
  end(): void;
}

/** `label` is one word of what goes on, e.g. `Reading`; `signal` ends the display with the work. */
export async function openProgress(screen: Screen, label: string, signal: AbortSignal): Promise<Progress> {
  const view = await openView(screen, label);
  let ended = false;
  const show = () => {
    // Work that was cut off goes on in the background for a moment.
    if (!ended) view.show(state);
  };
  const end = () => {
    ended = true;
    view.end();
  };
  const estimator = newEstimator();
  let state: ProgressState = { done: 0, total: 0, rate: 0, secondsLeft: undefined, phase: undefined };
  signal.addEventListener('abort', end, { once: true });
  return {
    update(done, total) {
      state = { done, total, phase: undefined, ...estimator.update(done, total, now()) };
      show();
    },
    phase(phase) {
      state = { ...state, phase };
      show();
    },
    end,
  };
}

async function openView(screen: Screen, label: string): Promise<ProgressView> {
  const { errors } = screen.streams;
  if (errors.isTTY) return (await import('./progress-bar.ts')).openBar(errors, label);
  if (screen.json) return { show: () => undefined, end: () => undefined };
  return (await import('./progress-lines.ts')).openLines((text) => screen.remark(text), label);
}

/** `230 MiB of 512 MiB, 210 MiB/s, 2 s left`. */
export function describeProgress({ done, total, rate, secondsLeft, phase }: ProgressState): string {
  const bytes = `${formatSize(done)} of ${formatSize(total)}`;
  if (phase !== undefined) return `${bytes}, ${phase}`;
  if (secondsLeft === undefined) return bytes;
  return `${bytes}, ${formatSize(rate)}/s, ${formatDuration(Math.ceil(secondsLeft))} left`;
}

function now(): number {
  return performance.now() / 1000;
}

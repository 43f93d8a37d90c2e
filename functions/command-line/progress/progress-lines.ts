import { describeProgress, type ProgressState, type ProgressView } from './progress.ts';

/** Seldom enough for a log, often enough to see that something lives. */
const EVERY_MS = 5000;

/** A line now and then, where no terminal is. The first comes only after a while: short work needs none. */
export function openLines(say: (text: string) => void, label: string): ProgressView {
  let saidAt = performance.now();
  return {
    show(state) {
      const now = performance.now();
      if (now - saidAt < EVERY_MS) return;
      saidAt = now;
      say(`${label}: ${percentOf(state)} %, ${describeProgress(state)}`);
    },
    end: () => undefined,
  };
}

/** Never 100 before all is done. */
function percentOf({ done, total }: ProgressState): number {
  return total === 0 ? 100 : Math.floor((100 * done) / total);
}

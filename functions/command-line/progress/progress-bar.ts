import type { Writable } from 'node:stream';
import { type Params, SingleBar } from 'cli-progress';
import { describeProgress, type ProgressState, type ProgressView } from './progress.ts';

const WIDTH = 24;
const FRAMES_PER_SECOND = 8;

/** A bar on a terminal, taken away when the work ends: what was done stands in the report. */
export function openBar(terminal: Writable, label: string): ProgressView {
  let shown: ProgressState | undefined;
  const bar = new SingleBar({
    stream: terminal,
    fps: FRAMES_PER_SECOND,
    clearOnComplete: true,
    hideCursor: true,
    // Ctrl-C ends the work, which then takes the bar away; cli-progress would only restore the cursor.
    gracefulExit: false,
    format: (_: unknown, params: Params) => barLine(label, params.progress, shown),
  });
  return {
    show(state) {
      if (shown === undefined) bar.start(state.total, state.done);
      shown = state;
      bar.setTotal(state.total);
      bar.update(state.done);
    },
    end() {
      if (shown !== undefined) bar.stop();
      shown = undefined;
    },
  };
}

/** `Reading  [=========>      ]  45 %  230 MiB of 512 MiB, …`. Nothing to do counts as done. */
export function barLine(label: string, progress: number, state: ProgressState | undefined): string {
  const share = state?.total === 0 ? 1 : Math.min(1, Math.max(0, progress));
  const filled = Math.floor(share * WIDTH);
  const arrow = filled < WIDTH ? '>' : '';
  const bar = `${'='.repeat(filled)}${arrow}`.padEnd(WIDTH);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label}  [${bar}] ${percent} %  ${state === undefined ? '' : describeProgress(state)}`.trimEnd();
}

import { SEGMENT_SIZE } from '#vault/words.ts';
import type { RestoreTarget } from '../restore-targets/restore-target.ts';
import { newDoneRuns } from './done-runs.ts';
import type { RestorePlan, RestoreSpan } from './restore-plan.ts';
import { addUnreadable } from './restore-span.ts';
import { type RestoreState, type RestoreSubject, writeState } from './restore-state.ts';
import type { CountedOutcome } from './span-restorer.ts';

export interface RestoreProgress {
  /** Bytes of data on the target, of those that the disk has; zeros do not count. Exact, in whole segments. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Keeps account of a restore, in memory and, now and then, in the state file. */
export interface RestoreLedger {
  /** The spans that are not on the target yet. */
  todo(): Generator<RestoreSpan>;
  /** A span is on the target. Throws the error of an earlier save that failed. */
  add(outcome: CountedOutcome, span: RestoreSpan): void;
  /** Flushes the target, then records what was on it. Throws `target-failed`. */
  save(): Promise<void>;
  totals(): CountedOutcome;
}

export interface LedgerSettings {
  readonly path: string;
  readonly subject: RestoreSubject;
  readonly plan: RestorePlan;
  /** The state that is being resumed. */
  readonly begun: Pick<RestoreState, 'done' | 'unreadable'>;
  /** Whether the target is flushed before a span counts as done. */
  readonly durable: boolean;
  readonly target: RestoreTarget;
  readonly onProgress: ((progress: RestoreProgress) => void) | undefined;
}

const SAVE_EVERY_MS = 1000;

export function openLedger({ path, subject, plan, begun, durable, target, onProgress }: LedgerSettings): RestoreLedger {
  const done = newDoneRuns(begun.done);
  const unreadable = [...begun.unreadable];
  const sums = { dataBytes: 0, zeroBytes: 0, requests: 0 };
  const todo = plan.spans.filter((span) => !done.has(span));
  let doneBytes = plan.dataBytes - bytesOf(todo);
  let savedAt = performance.now();
  let saving: Promise<void> = Promise.resolve();
  let busy = false;
  let failure: { error: unknown } | undefined;

  /** What is recorded was complete before the flush began, so it is durable after it. */
  async function saveOnce(): Promise<void> {
    const state = { ...subject, durable, done: done.list(), unreadable: [...unreadable] };
    if (durable) await target.flush();
    await writeState(path, state);
    savedAt = performance.now();
  }

  function saveInPassing(): void {
    if (busy || performance.now() - savedAt < SAVE_EVERY_MS) return;
    busy = true;
    saving = saveOnce()
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        busy = false;
      });
  }

  return {
    *todo() {
      yield* todo;
    },
    add(outcome, span) {
      if (failure) throw failure.error;
      done.add({ first: span.first, count: span.count });
      for (const run of outcome.unreadable) addUnreadable(unreadable, run);
      sums.dataBytes += outcome.dataBytes;
      sums.zeroBytes += outcome.zeroBytes;
      sums.requests += outcome.requests;
      doneBytes += bytesOf([span]);
      onProgress?.({ doneBytes, totalBytes: plan.dataBytes });
      saveInPassing();
    },
    async save() {
      await saving;
      if (failure) throw failure.error;
      await saveOnce();
    },
    totals: () => ({ ...sums, unreadable: unreadable.toSorted((a, b) => a.offset - b.offset) }),
  };
}

function bytesOf(spans: readonly RestoreSpan[]): number {
  return spans.reduce((sum, { dataSegments }) => sum + dataSegments, 0) * SEGMENT_SIZE;
}

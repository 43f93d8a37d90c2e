import { describe, expect, test, vi } from 'vitest';
import { newEstimator } from '../../../../functions/command-line/progress/estimate.ts';
import { describeProgress } from '../../../../functions/command-line/progress/progress.ts';
import { barLine } from '../../../../functions/command-line/progress/progress-bar.ts';
import { openLines } from '../../../../functions/command-line/progress/progress-lines.ts';

const MIB = 1024 ** 2;

describe('an estimate', () => {
  test('is not made from the first moment', () => {
    const estimator = newEstimator();
    estimator.update(0, 100, 0);
    expect(estimator.update(50, 100, 0.1)).toEqual({ rate: 0, secondsLeft: undefined });
  });

  test('follows a change of speed within seconds', () => {
    const estimator = newEstimator();
    for (let second = 0; second < 20; second++) estimator.update(second * 100, 10_000, second);
    let estimate = estimator.update(2000, 10_000, 20);
    expect(estimate).toEqual({ rate: 100, secondsLeft: 80 });
    for (let second = 21; second <= 40; second++) estimate = estimator.update(1800 + second * 10, 10_000, second);
    expect(estimate.rate).toBeCloseTo(10, 0);
  });

  test('does not count what an earlier run has done', () => {
    const estimator = newEstimator();
    estimator.update(900, 1000, 0);
    expect(estimator.update(910, 1000, 1)).toEqual({ rate: 10, secondsLeft: 9 });
  });

  test('is never below zero, also when work begins again', () => {
    const estimator = newEstimator();
    estimator.update(900, 1000, 5);
    expect(estimator.update(0, 1000, 6)).toEqual({ rate: 0, secondsLeft: undefined });
    estimator.update(100, 1000, 16);
    expect(estimator.update(200, 1000, 17).secondsLeft).toBeGreaterThan(0);
  });
});

describe('what is said of the progress', () => {
  const state = { done: 230 * MIB, total: 512 * MIB, rate: 210 * MIB, secondsLeft: 1.34, phase: undefined };

  test('is bytes, rate, and time left', () => {
    expect(describeProgress(state)).toBe('230 MiB of 512 MiB, 210 MiB/s, 2 s left');
  });

  test('is no rate before one can be told, and the phase at the end', () => {
    expect(describeProgress({ ...state, secondsLeft: undefined })).toBe('230 MiB of 512 MiB');
    expect(describeProgress({ ...state, phase: 'finishing' })).toBe('230 MiB of 512 MiB, finishing');
  });

  test('is a bar that is full only at the end', () => {
    expect(barLine('Reading', 0.999, state)).toMatch(/^Reading {2}\[={23}>] {2}99 % {2}230 MiB/);
    expect(barLine('Reading', 1, state)).toMatch(/^Reading {2}\[={24}] 100 %/);
    expect(barLine('Reading', Number.NaN, { ...state, done: 0, total: 0 })).toContain('100 %');
  });

  test('is a line every few seconds where no terminal is', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const said: string[] = [];
      const lines = openLines((text) => said.push(text), 'Reading');
      for (let tenth = 0; tenth < 120; tenth++) {
        lines.show({ ...state, done: tenth * MIB });
        vi.advanceTimersByTime(100);
      }
      expect(said).toEqual([
        'Reading: 9 %, 50 MiB of 512 MiB, 210 MiB/s, 2 s left',
        'Reading: 19 %, 100 MiB of 512 MiB, 210 MiB/s, 2 s left',
      ]);
    } finally {
      vi.useRealTimers();
    }
  });
});

/** How far some work is, and how fast it went of late. */
export interface Estimate {
  /** Bytes a second over the last seconds; 0 until that can be told. */
  readonly rate: number;
  /** Seconds that are left at that rate; undefined until that can be told. */
  readonly secondsLeft: number | undefined;
}

export interface Estimator {
  /** Says how much is done of how much, in bytes, at a time in seconds. */
  update(done: number, total: number, seconds: number): Estimate;
}

/** Long enough to even out parts and packs, short enough to follow a change of speed. */
const WINDOW_SECONDS = 10;
/** Before, a rate says more about the start than about the work. */
const FIRST_SECONDS = 0.5;

/** Counts from the first update on: what was done before that was not done at this rate. */
export function newEstimator(): Estimator {
  const samples: { readonly done: number; readonly seconds: number }[] = [];
  return {
    update(done, total, seconds) {
      samples.push({ done, seconds });
      while (samples.length > 2 && seconds - (samples[1]?.seconds ?? seconds) >= WINDOW_SECONDS) samples.shift();
      const oldest = samples[0] ?? { done, seconds };
      const elapsed = seconds - oldest.seconds;
      // Work that begins again goes backwards for a moment.
      const rate = elapsed >= FIRST_SECONDS ? Math.max(0, done - oldest.done) / elapsed : 0;
      return { rate, secondsLeft: rate > 0 ? Math.max(0, total - done) / rate : undefined };
    },
  };
}

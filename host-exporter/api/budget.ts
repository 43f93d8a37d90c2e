/** Shares a bandwidth among all who read: each waits its turn, so that together they stay within it. */
export interface Budget {
  /** Resolves when `bytes` more may be read. */
  take(bytes: number): Promise<void>;
}

/** At most this much is saved up while nobody reads. */
const SAVED_MS = 100;

/** `bandwidth` in bytes a second; 0 for none. */
export function createBudget(bandwidth: number): Budget {
  if (bandwidth === 0) return { take: () => Promise.resolve() };
  // When all that has been promised so far will have been paid for.
  let paidAt = performance.now();
  return {
    async take(bytes) {
      const now = performance.now();
      paidAt = Math.max(paidAt, now - SAVED_MS) + (bytes / bandwidth) * 1000;
      const wait = paidAt - now;
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
    },
  };
}

import { GRACE_HOURS } from '#vault/words.ts';

/** When a point that expired at `time` can be gone for good: from then on a sweep in its usual way takes it. */
export function endOfGrace(time: Date): Date {
  return new Date(time.getTime() + GRACE_HOURS * 3_600_000);
}

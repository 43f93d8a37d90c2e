import type { PolicyDefinition } from './policy-schema.ts';
import { lastTime } from './schedule.ts';

type Schedule = NonNullable<PolicyDefinition['schedule']>;

/** Schedulers fire early by a second or two, and clocks differ. */
const EARLY_MS = 90_000;

/**
 * Whether a schedule wants a run now: the last time that it named has come since `since` (when the policy was made or changed), and no run
 * was started then or later. So a time that nobody could keep is made up for when somebody asks next, and no time is kept twice.
 */
export function isDue(schedule: Schedule, now: Date, since: Date, lastRun: Date | undefined): boolean {
  const last = lastTime(schedule, new Date(now.getTime() + EARLY_MS));
  if (last === undefined || last.getTime() + EARLY_MS < since.getTime()) return false;
  return lastRun === undefined || lastRun.getTime() + EARLY_MS < last.getTime();
}

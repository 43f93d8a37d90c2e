import type { LastRecord, PolicyRecord } from '../registry/records.ts';
import { startOf } from '../runs/start-run.ts';
import { EARLY_MS, LATE_MS, nextRun } from './schedule.ts';

/** Beyond the time for which a schedule is still answered, so that a run that is late has begun by then. */
const PATIENCE_MS = 2 * LATE_MS;

/**
 * When a run should have begun by the policy's schedule, and none has since: nobody fired it, or its runs could not be started.
 * Undefined where all is well.
 */
export function overdueSince(
  { definition: { schedule }, updatedAt }: PolicyRecord,
  last: LastRecord | undefined,
  now: Date,
): Date | undefined {
  if (schedule === undefined) return undefined;
  const at = last?.begunAt ?? (last?.point === undefined ? undefined : startOf(last.point));
  const begun = at === undefined ? 0 : Date.parse(at) + EARLY_MS;
  const due = nextRun(schedule, new Date(Math.max(Date.parse(updatedAt), begun)));
  return due !== undefined && due.getTime() + PATIENCE_MS < now.getTime() ? due : undefined;
}

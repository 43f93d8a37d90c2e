import { Cron } from 'croner';
import { EkkoError } from '#vault/errors.ts';
import type { PolicyDefinition } from './policy.ts';

type Schedule = NonNullable<PolicyDefinition['schedule']>;

/** When a schedule is due next, or undefined where it never is. Throws `bad-input` for a pattern or a time zone that cannot be meant. */
export function nextRun({ cron, timeZone }: Schedule, after: Date): Date | undefined {
  checkTimeZone(timeZone);
  const pattern = cron.trim();
  if (pattern.split(/\s+/).length !== 5) {
    throw new EkkoError(
      'bad-input',
      `The schedule ${shown(cron)} needs five fields: minute, hour, day, month, day of week.`,
    );
  }
  try {
    return new Cron(pattern, { timezone: timeZone, paused: true }).nextRun(after) ?? undefined;
  } catch (cause) {
    const reason =
      cause instanceof Error ? cause.message.replace(/^CronPattern: /, '').slice(0, 200) : 'unknown reason';
    throw new EkkoError('bad-input', `The schedule ${shown(cron)} cannot be meant: ${reason}`, { cause });
  }
}

/** Whoever fires schedules may be a little early, and is late when the cloud is busy. */
export const EARLY_MS = 60_000;
export const LATE_MS = 15 * 60_000;

/** Whether the schedule is due about now. Throws as `nextRun`. */
export function isDue(schedule: Schedule, now: Date): boolean {
  const due = nextRun(schedule, new Date(now.getTime() - LATE_MS));
  return due !== undefined && due.getTime() <= now.getTime() + EARLY_MS;
}

/** Throws `bad-input` for a schedule that is wrong, or never due. */
export function checkSchedule(schedule: Schedule, now: Date): void {
  if (nextRun(schedule, now) !== undefined) return;
  throw new EkkoError('bad-input', `The schedule ${shown(schedule.cron)} is never due: there is no such day.`);
}

export function checkTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch (cause) {
    throw new EkkoError(
      'bad-input',
      `There is no time zone ${shown(timeZone)}. Give an IANA name, such as Europe/Berlin.`,
      {
        cause,
      },
    );
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

import { Cron } from 'croner';
import { EkkoError } from '#vault/errors.ts';
import type { PolicyDefinition } from './policy-schema.ts';

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

/** When a good schedule was due last, at `before` at the latest. */
export function lastTime({ cron, timeZone }: Schedule, before: Date): Date | undefined {
  return new Cron(cron.trim(), { timezone: timeZone, paused: true }).previousRuns(1, before)[0];
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

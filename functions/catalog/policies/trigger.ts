import { Cron } from 'croner';
import type { PolicyDefinition } from './policy.ts';

type Schedule = NonNullable<PolicyDefinition['schedule']>;

const DAY_MINUTES = 1440;
const SAMPLES = 24;
const SAMPLE_MS = 366 * 86_400_000;

/**
 * A cron pattern in UTC that fires whenever the schedule can be due, in summer and winter, and perhaps at other times too: for engines that
 * know UTC only, and ask each time whether it is due. The schedule has been checked.
 */
export function triggerOf({ cron, timeZone }: Schedule, now: Date): string {
  const [minute = '*', hour = '*', ...days] = cron.trim().split(/\s+/);
  const offsets = offsetsOf(timeZone, now);
  const times = expand(`0 ${hour} * * *`, (at) => at.getUTCHours()).flatMap((hours) =>
    expand(`${minute} 0 * * *`, (at) => at.getUTCMinutes()).map((minutes) => hours * 60 + minutes),
  );
  const fired = offsets.flatMap((offset) => times.map((time) => time - offset));
  const crosses = fired.some((time) => time < 0 || time >= DAY_MINUTES);
  const wrapped = fired.map((time) => (time + 2 * DAY_MINUTES) % DAY_MINUTES);
  const minutes = listed(
    wrapped.map((time) => time % 60),
    60,
  );
  const hours = listed(
    wrapped.map((time) => Math.floor(time / 60)),
    24,
  );
  const meant = crosses || !days.every((field) => PLAIN.test(field)) ? ['*', '*', '*'] : days;
  return [minutes, hours, ...meant].join(' ');
}

/** Numbers, names, ranges and steps; not every engine knows the last Friday, or the working day next to the 15th. */
const PLAIN = /^(?:[\d*,/-]|[a-z]{3})+$/i;

/** Minutes that the zone is ahead of UTC, over a year. */
function offsetsOf(timeZone: string, now: Date): number[] {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'longOffset' });
  const offsets = Array.from({ length: SAMPLES }, (_, n) => {
    const at = new Date(now.getTime() + (n * SAMPLE_MS) / SAMPLES);
    const name = format.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const [, sign, hours, minutes] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
    return hours === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  });
  return [...new Set(offsets)];
}

/** What a field of a pattern names, by the times of one day at which it is due. */
function expand(pattern: string, field: (at: Date) => number): number[] {
  const day = new Date('2026-01-01T00:00:00Z');
  const job = new Cron(pattern, { timezone: 'UTC', paused: true });
  const found = new Set<number>();
  let at = job.nextRun(new Date(day.getTime() - 1000));
  while (at !== null && at.getTime() < day.getTime() + DAY_MINUTES * 60_000) {
    found.add(field(at));
    at = job.nextRun(at);
  }
  return [...found];
}

function listed(values: readonly number[], all: number): string {
  const unique = [...new Set(values)].sort((a, b) => a - b);
  return unique.length === all ? '*' : unique.join(',');
}

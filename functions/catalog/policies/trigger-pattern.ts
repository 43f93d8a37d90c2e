import type { PolicyDefinition } from './policy-schema.ts';

type Schedule = NonNullable<PolicyDefinition['schedule']>;

const DAY_MS = 86_400_000;
const HOUR_MINUTES = 60;
const DAY_MINUTES = 24 * HOUR_MINUTES;
/** Clocks are put forward or back twice a year at most. */
const DAYS_AHEAD = 400;
const EVERY = '*';

/**
 * A cron pattern in UTC, for whoever knows no time zones (Mistral), that fires at each time at which the schedule is due, in summer and
 * winter, and perhaps at more: whether it is due is seen when it fires. The same as the schedule's own where its zone is UTC.
 */
export function triggerPattern({ cron, timeZone }: Schedule, now: Date): string {
  const fields = cron.trim().split(/\s+/);
  const offsets = offsetsOf(timeZone, now);
  if (offsets.length === 1 && offsets[0] === 0) return fields.join(' ');
  const [minutes, hours] = [numbersIn(fields[0] ?? EVERY, HOUR_MINUTES), numbersIn(fields[1] ?? EVERY, 24)];
  const times = offsets.flatMap((offset) =>
    hours.flatMap((hour) => minutes.map((minute) => hour * HOUR_MINUTES + minute - offset)),
  );
  const utc = times.map((time) => (time + DAY_MINUTES) % DAY_MINUTES);
  // Where it is another day in UTC, the days of the schedule are not those of the trigger.
  const sameDay = times.every((time) => time >= 0 && time < DAY_MINUTES);
  const days = sameDay ? fields.slice(2) : [EVERY, EVERY, EVERY];
  const minute = fieldOf(
    utc.map((time) => time % HOUR_MINUTES),
    HOUR_MINUTES,
  );
  const hour = fieldOf(
    utc.map((time) => Math.floor(time / HOUR_MINUTES)),
    24,
  );
  return [minute, hour, ...days].join(' ');
}

/** Minutes by which the zone is ahead of UTC, in the year to come. */
function offsetsOf(timeZone: string, now: Date): number[] {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const found = new Set<number>();
  for (let day = 0; day <= DAYS_AHEAD; day++) {
    const name = format.formatToParts(now.getTime() + day * DAY_MS).find(({ type }) => type === 'timeZoneName')?.value;
    const [, sign, hours = '0', minutes = '0'] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(name ?? '') ?? [];
    found.add((sign === '-' ? -1 : 1) * (Number(hours) * HOUR_MINUTES + Number(minutes)) || 0);
  }
  return [...found].sort((a, b) => a - b);
}

/** The numbers below `end` that a field of minutes or hours means; all of them for what is not understood, for too many do no harm. */
function numbersIn(field: string, end: number): number[] {
  const all = Array.from({ length: end }, (_, at) => at);
  const parts = field.split(',').map((part) => /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part));
  if (parts.some((part) => part === null)) return all;
  return all.filter((number) =>
    parts.some((part) => {
      const [, first, last, step] = part ?? [];
      const from = Number(first ?? 0);
      const to = last === undefined ? (first === undefined || step !== undefined ? end - 1 : from) : Number(last);
      return number >= from && number <= to && (number - from) % Number(step ?? 1) === 0;
    }),
  );
}

function fieldOf(numbers: readonly number[], end: number): string {
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  return distinct.length === end ? EVERY : distinct.join(',');
}

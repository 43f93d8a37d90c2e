import { DateTime, IANAZone } from 'luxon';
import { EkkoError } from '#vault/errors.ts';

/** What a bucket rule counts, by the rule's name. */
export const UNITS = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' } as const;
export type BucketRule = keyof typeof UNITS;
export const BUCKET_RULES = Object.keys(UNITS) as readonly BucketRule[];

/** Hours, days, ISO weeks, months and years of a time zone. A period is named by its first millisecond (since 1970, UTC). */
export interface Calendar {
  /** The period in which `time` (milliseconds) lies. The hour that a clock set back repeats is two. */
  periodOf(rule: BucketRule, time: number): number;
  /** The period `count` after this one. */
  after(rule: BucketRule, period: number, count: number): number;
  /** For people: `2026-11-20 19:00`, `2026-11-20`, `2026-W47`, `2026-11`, `2026`. */
  nameOf(rule: BucketRule, period: number): string;
}

const FORMATS = {
  hourly: 'yyyy-MM-dd HH:mm',
  daily: 'yyyy-MM-dd',
  weekly: "kkkk-'W'WW",
  monthly: 'yyyy-MM',
  yearly: 'yyyy',
} as const;

/** Whether there is a time zone of this IANA name. */
export function isTimeZone(name: string): boolean {
  return IANAZone.isValidZone(name);
}

/** There are some hundred zones. */
const opened = new Map<string, Calendar>();

/** The calendar of an IANA time zone. Throws `bad-input` for a zone that this machine does not know. */
export function openCalendar(timeZone: string): Calendar {
  const calendar = opened.get(timeZone) ?? newCalendar(timeZone);
  opened.set(timeZone, calendar);
  return calendar;
}

function newCalendar(timeZone: string): Calendar {
  if (!isTimeZone(timeZone)) {
    const found = JSON.stringify(timeZone.slice(0, 60));
    throw new EkkoError('bad-input', `${found} is no time zone: give an IANA name, such as Europe/Berlin or UTC.`);
  }
  const zone = IANAZone.create(timeZone);
  const at = (time: number) => DateTime.fromMillis(time, { zone });
  const startOf = (rule: BucketRule, time: number) => at(time).startOf(UNITS[rule]).toMillis();
  const after = (rule: BucketRule, period: number, count: number) =>
    startOf(
      rule,
      at(period)
        .plus({ [UNITS[rule]]: count })
        .toMillis(),
    );
  return {
    periodOf: remembering((rule, time) => {
      const start = startOf(rule, time);
      // Where clocks change by half an hour, hours are of other lengths: no other time is taken to lie in one.
      return { start, end: rule === 'hourly' ? start : after(rule, start, 1) };
    }),
    after,
    nameOf: (rule, period) => at(period).toFormat(FORMATS[rule]),
  };
}

interface Period {
  readonly start: number;
  /** What lies before it, and not before `start`, lies in the period. */
  readonly end: number;
}

/** Answers kept in memory for each rule, about 50 bytes each. */
const MOST_KEPT = 50_000;

/** Time zones are slow to ask, and the same points are judged again and again. */
function remembering(look: (rule: BucketRule, time: number) => Period): Calendar['periodOf'] {
  const known = new Map(BUCKET_RULES.map((rule) => [rule, new Map<number, number>()]));
  const last = new Map<BucketRule, Period>();
  const periodOf = (rule: BucketRule, time: number): Period => {
    const before = last.get(rule);
    if (before !== undefined && time >= before.start && time < before.end) return before;
    const found = look(rule, time);
    last.set(rule, found);
    return found;
  };
  return (rule, time) => {
    const periods = known.get(rule);
    const found = periods?.get(time) ?? periodOf(rule, time).start;
    if ((periods?.size ?? 0) >= MOST_KEPT) periods?.clear();
    periods?.set(time, found);
    return found;
  };
}

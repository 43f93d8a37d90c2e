import { EkkoError } from '#vault/errors.ts';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { checkPolicy } from './check-policy.ts';

/** Rules as people write them, in the order in which they are shown. */
const RULES = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 };

/**
 * The policy in a text such as `daily=7,weekly=4,within=48h,zone=Europe/Berlin`: rules in any order, each once; `within` in hours (`h`),
 * days (`d`) or weeks (`w`); without `zone` the days are those of `timeZone`. Throws `bad-input` for what cannot be meant.
 */
export function readPolicy(text: string, timeZone: string): RetentionPolicy {
  const fields = new Map<string, number | string>();
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^\s*([a-z]+)\s*=\s*(\S+)\s*$/.exec(part) ?? [];
    const [field, read] = readField(name, value, part);
    if (fields.has(field)) throw new EkkoError('bad-input', `The retention policy says ${name} twice.`);
    fields.set(field, read);
  }
  return checkPolicy({ timeZone, ...Object.fromEntries(fields) });
}

function readField(name: string, value: string, part: string): [field: string, value: number | string] {
  if (name === 'zone') return ['timeZone', value];
  if (name === 'within') return ['withinHours', readHours(value)];
  const rule = RULES.find((each) => each === name);
  if (rule !== undefined) return [rule, readCount(name, value)];
  const found = JSON.stringify(part.trim().slice(0, 60));
  throw new EkkoError(
    'bad-input',
    `A retention policy has rules such as daily=7, of last, hourly, daily, weekly, monthly, yearly, within, and zone; found ${found}.`,
  );
}

function readCount(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new EkkoError(
    'bad-input',
    `The rule ${name} keeps a whole number of points; found ${JSON.stringify(value.slice(0, 40))}.`,
  );
}

function readHours(value: string): number {
  const [, count, unit = 'h'] = /^(\d{1,6})([hdw])?$/.exec(value) ?? [];
  if (count !== undefined) return Number(count) * (HOURS[unit] ?? 1);
  const found = JSON.stringify(value.slice(0, 40));
  throw new EkkoError('bad-input', `The rule within is a span of time, such as 48h, 14d or 2w; found ${found}.`);
}

/** The policy as `readPolicy` reads it. */
export function policyText(policy: RetentionPolicy): string {
  const rules = RULES.flatMap((rule) => (policy[rule] === undefined ? [] : [`${rule}=${policy[rule]}`]));
  const within = policy.withinHours === undefined ? [] : [`within=${hoursText(policy.withinHours)}`];
  return [...rules, ...within, `zone=${policy.timeZone}`].join(',');
}

function hoursText(hours: number): string {
  return hours % 24 === 0 && hours > 48 ? `${hours / 24}d` : `${hours}h`;
}

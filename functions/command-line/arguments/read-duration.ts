import { EkkoError } from '#vault/errors.ts';
import { plainText } from '../text/plain-text.ts';

const HOURS: Readonly<Record<string, number>> = { m: 1 / 60, h: 1, d: 24, w: 168 };
const MOST_HOURS = 1_000_000;

/** Hours in a text such as `7d`, `36h`, `2w`, `90m` or `0`. Throws `bad-input` naming `what`. */
export function readDuration(text: string, what: string): number {
  const [, digits, unit = ''] = /^(\d{1,7}(?:\.\d+)?)([mhdw])?$/.exec(text.trim()) ?? [];
  const hours = unit === '' && Number(digits) !== 0 ? Number.NaN : Number(digits) * (HOURS[unit] ?? 1);
  if (hours >= 0 && hours <= MOST_HOURS) return hours;
  throw new EkkoError('bad-input', `${what} is a time such as 7d, 36h or 0; found "${plainText(text, 40)}".`);
}

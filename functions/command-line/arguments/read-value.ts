import { EkkoError } from '#vault/errors.ts';
import { plainText } from '../text/plain-text.ts';

/** A whole number of `least` to `most`. Throws `bad-input` naming `what`. */
export function readInteger(text: string, what: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw refuse(text, what, `a whole number of ${least} to ${most}`);
}

/** A share of 0-1 from a percentage such as `5`, `0.1` or `5%`. Throws `bad-input` naming `what`. */
export function readPercent(text: string, what: string): number {
  const value = /^\d{1,3}(\.\d+)?\s*%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (value >= 0 && value <= 100) return value / 100;
  throw refuse(text, what, 'a percentage of 0 to 100');
}

/** One of the words allowed. Throws `bad-input` naming `what` and all of them. */
export function readWord<const T extends string>(text: string, what: string, allowed: readonly T[]): T {
  const found = allowed.find((word) => word === text);
  if (found !== undefined) return found;
  throw refuse(text, what, allowed.join(', ').replace(/, (?=[^,]*$)/, ' or '));
}

function refuse(text: string, what: string, expected: string): EkkoError {
  return new EkkoError('bad-input', `${what} is ${expected}; found "${plainText(text, 40)}".`);
}

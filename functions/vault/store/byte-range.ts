import { EkkoError } from '../errors.ts';
import type { ByteRange } from './object-store.ts';

/** The part of `range` that lies within an object of `size` bytes; all of it without a range. Throws `bad-input`. */
export function clipRange(range: ByteRange | undefined, size: number): ByteRange {
  if (range === undefined) return { start: 0, end: size };
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new EkkoError('bad-input', `[${start}, ${end}) is not a range of bytes: 0 ≤ start ≤ end is needed.`);
  }
  return { start: Math.min(start, size), end: Math.min(end, size) };
}

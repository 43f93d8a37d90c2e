import { EkkoError } from '#vault/errors.ts';
import { plainText } from '../text/plain-text.ts';

const FACTORS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Bytes in a text such as `1500`, `100M`, `1.5G`, `64 MiB`: units are powers of 1024. Throws `bad-input` naming `what`. */
export function readSize(text: string, what: string): number {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?|B)?(?:\/s)?\s*$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * (FACTORS[unit.toUpperCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new EkkoError('bad-input', `${what} is given as a size, such as 100M or 1.5G; found "${plainText(text, 40)}".`);
}

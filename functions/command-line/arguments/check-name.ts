import { EkkoError } from '#vault/errors.ts';
import { plainText } from '../text/plain-text.ts';

/** Longest name of a disk or a group, in bytes. */
const LONGEST = 255;

/**
 * A name that a person gives to a disk or a group: 1-255 bytes, one line, no `/`, not `.` or `..`. Names never become keys or paths of
 * a vault; this only keeps out what cannot be meant. Throws `bad-input` naming `what`.
 */
export function checkName(name: string, what: string): string {
  const fault = faultOf(name);
  if (fault === undefined) return name;
  throw new EkkoError(
    'bad-input',
    `${what} "${plainText(name, 60)}" cannot be used: ${fault}. Choose a short, printable name.`,
  );
}

function faultOf(name: string): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (name.trim() === '') return 'it is empty';
  if (bytes > LONGEST) return `it has ${bytes} bytes, at most ${LONGEST} are allowed`;
  if (!name.isWellFormed() || /[\p{Cc}\u2028\u2029]/u.test(name)) return 'it holds a control character';
  if (name === '.' || name === '..') return 'it means a folder';
  return name.includes('/') ? 'it holds a "/"' : undefined;
}

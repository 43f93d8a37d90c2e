import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { EkkoError } from '../errors.ts';

/** A small file that only its owner may read. */
export interface PrivateFile {
  readonly path: string;
  /** What messages call it: `Key file`. */
  readonly what: string;
  /** How to name another one: a sentence without its full stop. */
  readonly naming: string;
  /** Which file is meant: a sentence without its full stop. */
  readonly meant: string;
}

const LARGEST = 4096;
/** Any right of the group or of others. */
const OTHERS = 0o077;

/**
 * The lines of the file that say something: trimmed, less empty ones and comments (`#`). Throws `bad-input` when it is missing, or
 * when others than its owner may read it, and `bad-format` when it is no small file. No message holds any of its bytes.
 */
export async function readPrivateLines(wanted: PrivateFile): Promise<string[]> {
  return sayingLines(await readPrivateText(wanted));
}

/** The lines of a text that say something: trimmed, less empty ones and comments (`#`). */
export function sayingLines(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

async function readPrivateText(wanted: PrivateFile): Promise<string> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK the open of a pipe would wait for ever.
    file = await open(wanted.path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw notOpened(wanted, cause);
  }
  try {
    checkFile(wanted, await file.stat());
    return await file.readFile('latin1');
  } finally {
    await file.close();
  }
}

function notOpened({ what, path, naming }: PrivateFile, cause: unknown): EkkoError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const found = code === 'ENOENT' ? 'is missing' : 'cannot be read';
  const reason = code === undefined ? '' : ` (${code})`;
  return new EkkoError('bad-input', `${what} ${path} ${found}${reason}. ${naming}.`, { cause });
}

function checkFile({ what, path, meant }: PrivateFile, found: Stats): void {
  if (!found.isFile()) throw new EkkoError('bad-format', `${what} ${path} is not a file.`);
  if (found.size > LARGEST) {
    const sizes = `has ${found.size} bytes, a ${what.toLowerCase()} has at most ${LARGEST}`;
    throw new EkkoError('bad-format', `${what} ${path} ${sizes}. ${meant}.`);
  }
  if ((found.mode & OTHERS) === 0) return;
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  const advice = `Run: chmod 600 ${quoted(path)}`;
  throw new EkkoError('bad-input', `${what} ${path} can be read or changed by others (mode ${mode}). ${advice}`);
}

/** For a shell, should the path hold a blank or worse. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

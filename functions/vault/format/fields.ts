import { EkkoError } from '../errors.ts';
import { checkRun } from '../store/object-names.ts';

/** The value when it is what it should be, else throws `bad-format` naming `what`. */
export type Check<T> = (value: unknown, what: string) => T;

/** Reads one field of an object by its name. */
export type FieldReader = <T>(name: string, check: Check<T>) => T;

/** What `read` makes of the fields of `value`. A field that it did not ask for is refused: nobody knows what it would mean. */
export function readFields<T>(value: unknown, what: string, read: (field: FieldReader) => T): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(what, 'is not an object');
  const fields = new Map(Object.entries(value));
  const result = read((name, check) => {
    const field = check(fields.get(name), `The field ${name} of ${what}`);
    fields.delete(name);
    return field;
  });
  const [left] = fields.keys();
  if (left === undefined) return result;
  throw refuse(
    what,
    `has a field ${JSON.stringify(left.slice(0, 80))} that this Ekko does not know; a newer one may have written it`,
  );
}

/** Well-formed text of 1 to `most` UTF-16 units on one line. */
export function text(most: number): Check<string> {
  return (value, what) => {
    if (typeof value !== 'string' || value === '') throw refuse(what, 'is not text');
    if (value.length > most) throw refuse(what, `has ${value.length} characters, at most ${most} are allowed`);
    if (!value.isWellFormed() || /\p{Cc}/u.test(value))
      throw refuse(what, 'holds a control character or half a character');
    return value;
  };
}

/** A name that people gave: of a group, a disk, a host. */
export const label = text(255);

/** A moment as `Date.prototype.toISOString` writes it. */
export const time: Check<string> = (value, what) => {
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value)) return value;
  throw refuse(what, 'is not a time (2026-11-20T19:15:03.000Z)');
};

/** The name of an object: 64 lower-case hex digits. */
export const name: Check<string> = (value, what) => {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value;
  throw refuse(what, 'is not a SHA-256 in hex');
};

export const runId: Check<string> = (value, what) => {
  try {
    return checkRun(text(64)(value, what));
  } catch (cause) {
    throw refuse(what, 'is not the id of a run', cause);
  }
};

/** The id of a vault: 32 lower-case hex digits. */
export const vaultId: Check<string> = (value, what) => {
  if (typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)) return value;
  throw refuse(what, 'is not the id of a vault');
};

/** What names a recipient of the vault's key: 16 lower-case hex digits. */
export const fingerprint: Check<string> = (value, what) => {
  if (typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)) return value;
  throw refuse(what, 'is not the fingerprint of a key');
};

export const yesOrNo: Check<boolean> = (value, what) => {
  if (typeof value === 'boolean') return value;
  throw refuse(what, 'is neither true nor false');
};

/** An integer of 0 to `most`. */
export function integer(most: number): Check<number> {
  return (value, what) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
    throw refuse(what, `is not an integer of 0 to ${most}`);
  };
}

export function oneOf<const T extends string>(...allowed: readonly T[]): Check<T> {
  return (value, what) => {
    const found = allowed.find((word) => word === value);
    if (found !== undefined) return found;
    throw refuse(what, `is not one of ${allowed.join(', ')}`);
  };
}

export function listOf<T>(check: Check<T>, most: number): Check<readonly T[]> {
  return (value, what) => {
    if (!Array.isArray(value)) throw refuse(what, 'is not a list');
    if (value.length > most) throw refuse(what, `lists ${value.length} items, at most ${most} are allowed`);
    return value.map((item: unknown, i) => check(item, `Item ${i} of ${what}`));
  };
}

/** For a field that may be left out. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, what) => (value === undefined ? undefined : check(value, what));
}

/** What a `Check` throws: `bad-format` that names `what`. */
export function refuse(what: string, found: string, cause?: unknown): EkkoError {
  return new EkkoError('bad-format', `${what} ${found}.`, { cause });
}

import { EkkoError } from '../errors.ts';

/** Longest key: below every store's own limit (S3 and Swift: 1,024 bytes), with room for a vault's prefix. */
const LONGEST_KEY = 512;
/** What file systems allow for one name. */
const LONGEST_PART = 255;
/** No leading dot: that rules out `.` and `..`, and leaves dot names to the stores (temporary files, `.nfs0001`). */
const PART = /^[a-z0-9_-][a-z0-9._-]*$/;

/**
 * The one alphabet of keys, so that no store ever needs encoding: relative, 1 to 512 bytes, parts of `[a-z0-9._-]`
 * separated by single `/`, at most 255 bytes each, none beginning with a dot. Returns the key, or throws `bad-input` naming it.
 */
export function checkKey(key: string): string {
  const wrong = faultOf(key);
  if (wrong === undefined) return key;
  throw new EkkoError('bad-input', `${shown(key)} is not a key: ${wrong}.`);
}

/** A listing's prefix: empty (everything), or a key followed by `/`. Returns it, or throws `bad-input` naming it. */
export function checkPrefix(prefix: string): string {
  if (prefix === '') return prefix;
  const wrong = prefix.endsWith('/') ? faultOf(prefix.slice(0, -1)) : 'it does not end in "/"';
  if (wrong === undefined) return prefix;
  throw new EkkoError('bad-input', `${shown(prefix)} is not a prefix of whole folders: ${wrong}.`);
}

/** Whether a name found in a store is a key. */
export function isKey(name: string): boolean {
  return faultOf(name) === undefined;
}

/** Whether a name found in a store can be one part of a key. */
export function isKeyPart(name: string): boolean {
  return name.length <= LONGEST_PART && PART.test(name);
}

function faultOf(key: string): string | undefined {
  if (typeof key !== 'string') return 'it is not text';
  if (key.length > LONGEST_KEY) return `it has ${key.length} characters, at most ${LONGEST_KEY} are allowed`;
  const part = key.split('/').find((each) => !isKeyPart(each));
  if (part === undefined) return undefined;
  if (part === '') return 'a part is empty';
  if (part.length > LONGEST_PART) return `a part has ${part.length} characters, at most ${LONGEST_PART} are allowed`;
  return `${shown(part)} is not of a-z 0-9 . _ - with no dot in front`;
}

/** Escaped and cut: keys come from events and people, and end up on terminals and in logs. */
function shown(key: string): string {
  const ascii = JSON.stringify(String(key).slice(0, 80)).replace(
    /[^\x20-\x7e]/g,
    (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return ascii.length <= 80 ? ascii : `${ascii.slice(0, 79)}…`;
}

import { EkkoError } from '#vault/errors.ts';

export type JsonObject = { readonly [key: string]: unknown };

/** Narrows an answer of a peer to an object; `bad-format` naming `what` otherwise. */
export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new EkkoError('bad-format', `${what} is not a JSON object`);
}

/** Narrows an answer of a peer to an array of objects. */
export function asObjects(value: unknown, what: string): readonly JsonObject[] {
  if (!Array.isArray(value)) throw new EkkoError('bad-format', `${what} is not a JSON array`);
  return value.map((item) => asObject(item, `an item of ${what}`));
}

/** The member `key`, whatever it is. */
export function memberOf(object: JsonObject, key: string): unknown {
  return object[key];
}

/** The member `key` as text, or '' when it is absent or something else. */
export function textOf(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === 'string' ? value : '';
}

/** The member `key` as a whole number from 0 to 2^53; `bad-format` otherwise. */
export function countOf(object: JsonObject, key: string, what: string): number {
  const value = object[key];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new EkkoError('bad-format', `${what} has no usable "${key}": ${JSON.stringify(value)}`);
}

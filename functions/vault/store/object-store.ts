import type { KeptObject, ObjectLocking } from './object-locking.ts';

/**
 * Where a vault's objects lie. Objects are bounded (at most ~70 MiB), written whole and never changed.
 *
 * Keys are relative, `/`-separated, of `[a-z0-9._-]` only (see `checkKey`), so that no store needs encoding. No key is the folder of
 * another (`a` and `a/b`): file systems cannot keep both.
 */
export interface ObjectStore {
  /** For messages and records, e.g. `file:/backups/a`. Never holds a credential. */
  readonly url: string;
  /**
   * Create-if-absent. Resolves to `created` when the object is there *and durable* (survives a crash of the store's host),
   * or `exists` when the key was taken; never overwrites. An object is never visible half written.
   * `body` in pieces is written as one object, in order, without being copied together first.
   * With `durable: false` the store may skip the flush: for objects that are worth nothing after a crash (staged parts, samples).
   * Throws `store-failed` (full, forbidden, …), `bad-input` (key).
   */
  create(key: string, body: readonly Uint8Array[], options?: CreateOptions): Promise<'created' | 'exists'>;
  /** The object's bytes, or those of `[start, end)` (clipped to the object's end); the caller's own. Throws `object-missing`, `store-failed`. */
  get(key: string, range?: ByteRange): Promise<Buffer>;
  /** Keys that begin with `prefix` (a whole folder, ends in `/`; empty for all), ascending bytewise, from after `after`. Missing folder: nothing. */
  list(prefix: string, options?: ListOptions): AsyncIterable<StoredObject>;
  /**
   * Removes objects; a missing one is no error. After a crash of the store's host they may be there again. Resolves to those that a lock
   * keeps there: none, in a store that locks nothing. Throws `store-failed`.
   */
  remove(keys: readonly string[]): Promise<readonly KeptObject[]>;
  /** Only of a store that can lock objects. Whether it does is to be probed. */
  readonly locking?: ObjectLocking | undefined;
}

/** What `remove` resolves to where nothing is locked. */
export const NOTHING_KEPT: readonly KeptObject[] = [];

export interface CreateOptions {
  readonly durable?: boolean;
}
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}
export interface ListOptions {
  readonly after?: string;
}
export interface StoredObject {
  readonly key: string;
  readonly size: number;
}

import { EkkoError } from '../errors.ts';

/**
 * The vault's numbered log as raw bytes. It knows nothing of what an entry says; `vault-journal.ts` does.
 *
 * The one thing asked of an implementation is that a position is given away once: of any number of writers racing for it,
 * in any number of processes, exactly one is told `created`.
 */
export interface Journal {
  /** For messages, e.g. `file:/backups/a`. Never holds a credential. */
  readonly url: string;
  /**
   * Creates the entry at `position` (1, 2, 3, …). Resolves to `created` when it is there and durable, `exists` when the
   * position was taken; never overwrites. The caller has read every position before this one.
   * Throws `bad-input` (not a position), `store-failed`; after `store-failed` the entry may be there all the same.
   */
  append(position: number, bytes: Uint8Array): Promise<'created' | 'exists'>;
  /**
   * Entries from position `from` on, ascending, without gap or repeat, up to at least the last one whose `append` was answered
   * before the call. Throws `journal-broken` when one is missing before a later one, `bad-input`, `store-failed`.
   */
  read(from: number): AsyncIterable<NumberedBytes>;
}

export interface NumberedBytes {
  readonly position: number;
  readonly bytes: Buffer;
}

/** Throws `bad-input` for what is no position. */
export function checkPosition(position: number): number {
  if (Number.isSafeInteger(position) && position >= 1) return position;
  throw new EkkoError('bad-input', `${position} is not a position of the journal: they count from 1.`);
}

import { decodeEntry, NO_DIGEST } from '../format/journal-entry.ts';
import type { Keyring } from '../keys/epoch-keys.ts';
import { contentName, journalKey } from '../store/object-names.ts';
import type { PlacedEntry } from './fold.ts';
import type { Journal } from './journal.ts';

export interface EntrySource {
  readonly log: Journal;
  readonly keyring: Keyring;
}

/**
 * The entries at positions `from` to `to`, as far as there are any, each checked to follow the one before it. Throws what
 * `Journal.read` throws, and `journal-broken`, `bad-format` (a newer Ekko's entry), `wrong-key`.
 */
export async function* readEntries(
  { log, keyring }: EntrySource,
  from: number,
  to: number,
): AsyncGenerator<PlacedEntry> {
  let digest: string | undefined = from === 1 ? NO_DIGEST : undefined;
  for await (const { position, bytes } of log.read(Math.max(1, from - 1))) {
    if (position > to) return;
    const own = contentName([bytes]);
    if (digest !== undefined) {
      const entry = decodeEntry(keyring, position, digest, bytes, `${journalKey(position)} in ${log.url}`);
      yield { position, digest: own, entry };
    }
    digest = own;
  }
}

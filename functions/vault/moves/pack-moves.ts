import { createObjectJournal, getEntry } from '../journal/object-journal.ts';
import { openVaultJournal } from '../journal/vault-journal.ts';
import type { Keyring } from '../keys/epoch-keys.ts';
import type { ObjectStore } from '../store/object-store.ts';

/** Which packs were moved, by name, to the name of the move that tells where their segments lie now. */
export interface MovedPacks extends Iterable<readonly [pack: string, move: string]> {
  get(pack: string): string | undefined;
}

/** As much of the journal as a reader needs who follows moves; `VaultJournal` is one. */
export interface PackMoves {
  state(): { readonly moved: MovedPacks };
  /** Reads what has come since. Throws what reading a journal throws. */
  refresh(): Promise<unknown>;
}

export const NO_MOVES: MovedPacks = new Map();

/** What a reader knows of moves without looking again. */
export function knownMoves({ journal }: { readonly journal?: PackMoves | undefined }): MovedPacks {
  return journal?.state().moved ?? NO_MOVES;
}

/**
 * For a reader without the journal: begins with what is given, and reads the journal in the store when it is to look again. A journal
 * in a SQL database is copied there too, and nothing is removed before the entry that condemns it has been copied.
 */
export function openStoredMoves(
  { store, keyring }: { readonly store: ObjectStore; readonly keyring: Keyring },
  given: MovedPacks = NO_MOVES,
): PackMoves {
  let moved = given;
  let position: number | undefined;
  let reading: Promise<void> = Promise.resolve();
  const read = async () => {
    if (position !== undefined && (await getEntry(store, position + 1)) === undefined) return;
    // Opened anew and not kept: a state may be large, and this is a rare event.
    const state = (await openVaultJournal({ journal: createObjectJournal(store), store, keyring })).state();
    moved = state.moved;
    position = state.position;
  };
  return {
    state: () => ({ moved }),
    refresh() {
      reading = reading.then(read, read);
      return reading;
    },
  };
}

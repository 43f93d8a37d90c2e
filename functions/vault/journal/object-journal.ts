import { codeOf, EkkoError } from '../errors.ts';
import { LARGEST_ENTRY } from '../format/journal-entry.ts';
import { Folder, journalKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { checkPosition, type Journal, type NumberedBytes } from './journal.ts';

/** Entries that are fetched at once: opening a journal then waits for few round trips, and holds little. */
export const AT_ONCE = 16;

/** A journal whose entries are objects `journal/<20 digits>`. Sound only on a store whose create-if-absent is atomic (`ekko doctor`). */
export function createObjectJournal(store: ObjectStore): Journal {
  let looked = false;
  return {
    url: store.url,
    append: async (position, bytes) => store.create(journalKey(checkPosition(position)), [bytes]),
    async *read(from) {
      // Once the journal has been seen whole, most calls find nothing new: one question then does for a listing.
      const first = looked ? await getEntry(store, checkPosition(from)) : undefined;
      if (looked && first === undefined) return;
      yield* readEntries(store, checkPosition(from));
      looked = true;
    },
  };
}

async function* readEntries(store: ObjectStore, from: number): AsyncGenerator<NumberedBytes> {
  let next = from;
  for await (const last of listedPositions(store, from)) {
    while (next <= last) {
      const upTo = Math.min(last, next + AT_ONCE - 1);
      yield* await getRange(store, next, upTo, last);
      next = upTo + 1;
    }
  }
  // A listing may lag behind; whether the next entry exists is decided by asking for it.
  for (let bytes = await getEntry(store, next); bytes !== undefined; bytes = await getEntry(store, next)) {
    yield { position: next, bytes };
    next++;
  }
}

/** Listed positions, in batches: only the highest of each is given, for the entries below it must exist, listed or not. */
async function* listedPositions(store: ObjectStore, from: number): AsyncGenerator<number> {
  let highest = 0;
  let listed = 0;
  for await (const { key } of store.list(Folder.journal, { after: journalKey(from - 1) })) {
    const digits = /^journal\/(\d{20})$/.exec(key)?.[1];
    if (digits === undefined) continue;
    highest = Math.max(highest, Number(digits));
    listed++;
    if (listed % AT_ONCE === 0) yield highest;
  }
  if (highest > 0) yield highest;
}

async function getRange(store: ObjectStore, first: number, last: number, listed: number): Promise<NumberedBytes[]> {
  const positions = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const found = await Promise.all(positions.map((position) => getEntry(store, position)));
  return found.map((bytes, i) => {
    const position = first + i;
    if (bytes !== undefined) return { position, bytes };
    throw new EkkoError(
      'journal-broken',
      `The journal in ${store.url} has a gap: ${journalKey(position)} is missing, but position ${listed} is there. ` +
        'Put the missing object back from a copy of the vault; nothing can be written until it is there.',
    );
  });
}

/** The stored bytes at a position, at most one more than an entry may have; undefined when there are none. Throws `store-failed`. */
export async function getEntry(store: ObjectStore, position: number): Promise<Buffer | undefined> {
  try {
    // One byte more than an entry may have: enough to see that it is too long, whatever lies there.
    return await store.get(journalKey(position), { start: 0, end: LARGEST_ENTRY + 1 });
  } catch (error) {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  }
}

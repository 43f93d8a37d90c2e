import { EkkoError } from '../errors.ts';
import { Folder, journalKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Journal, NumberedBytes } from './journal.ts';
import { AT_ONCE, createObjectJournal, getEntry } from './object-journal.ts';

/**
 * A SQL journal with a copy in the vault: each entry is also an object `journal/<20 digits>`, so that the vault can be restored
 * without its database. The database alone decides; the copy never holds what the database has not.
 *
 * - `append` answers `created` when the entry is in both. If the copy cannot be written it throws `store-failed`: the entry stands.
 * - `read` compares every entry with its copy and writes the copies that are missing: what a crash has left out the next one makes good.
 * - Both throw `journal-broken` when an entry and its copy differ, or when the database ends before the copy does: it was lost or
 *   set back to an older state, and an append would make a second history.
 */
export function createMirroredJournal(sql: Journal, store: ObjectStore): Journal {
  let looked = false;

  /** The highest position from `from` on that the copy seems to have; undefined: none. */
  const copiedBeyond = async (from: number): Promise<number | undefined> => {
    // A whole look once; after that only the next position can have come.
    const highest = looked ? 0 : await highestListed(store, from);
    looked = true;
    if (highest >= from) return highest;
    return (await getEntry(store, from)) === undefined ? undefined : from;
  };

  return {
    url: sql.url,
    append: async (position, bytes) => {
      const answer = await sql.append(position, bytes);
      if (answer === 'created') await copy(sql, store, { position, bytes: Buffer.from(bytes) });
      return answer;
    },
    async *read(from) {
      let next = from;
      for (let expected = 0; ; ) {
        for await (const batch of inBatches(sql.read(next))) {
          await checkCopies(sql, store, batch);
          yield* batch;
          next += batch.length;
        }
        if (next <= expected) throw behind(sql, next - 1, store, expected);
        // Copies are written after their entries: what the copy has now, the database must have had before.
        const copied = await copiedBeyond(next);
        if (copied === undefined) return;
        expected = copied;
      }
    },
  };
}

/** The copy of a SQL journal, for reading without the database. It may lack the entries of writers that were cut off. */
export function createMirrorReader(store: ObjectStore): Journal {
  return { ...createObjectJournal(store), append: () => Promise.reject(databaseMissing(store)) };
}

/** Why nothing can be written to a vault whose journal is kept in SQL while no journal file is named: `bad-input`. */
export function databaseMissing({ url }: ObjectStore): EkkoError {
  return new EkkoError(
    'bad-input',
    `The journal of the vault in ${url} is kept in a SQL database, and nothing can be written without it. Name it by ` +
      '--journal-file or EKKO_JOURNAL_FILE. If the database is lost, `ekko journal adopt` makes another one from the copy in the vault.',
  );
}

async function* inBatches(entries: AsyncIterable<NumberedBytes>): AsyncGenerator<NumberedBytes[]> {
  let batch: NumberedBytes[] = [];
  for await (const entry of entries) {
    batch.push(entry);
    if (batch.length < AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Missing copies are written in order: the copy has no gap, so its highest entry tells how far it goes. */
async function checkCopies(sql: Journal, store: ObjectStore, batch: readonly NumberedBytes[]): Promise<void> {
  const copies = await Promise.all(batch.map(({ position }) => getEntry(store, position)));
  for (const [at, entry] of batch.entries()) {
    const found = copies[at];
    if (found === undefined) await copy(sql, store, entry);
    else if (!found.equals(entry.bytes)) throw differ(sql, store, entry.position);
  }
}

/** Writes a copy. Whoever else does so writes the same bytes. */
async function copy(sql: Journal, store: ObjectStore, { position, bytes }: NumberedBytes): Promise<void> {
  if ((await store.create(journalKey(position), [bytes])) === 'created') return;
  const found = await getEntry(store, position);
  // A store that says so and cannot show it yet will show it to the next one, who compares again.
  if (found !== undefined && !found.equals(bytes)) throw differ(sql, store, position);
}

/** Listings may lag: what is not listed is asked for one by one. */
async function highestListed(store: ObjectStore, from: number): Promise<number> {
  let highest = 0;
  for await (const { key } of store.list(Folder.journal, { after: journalKey(from - 1) })) {
    const digits = /^journal\/(\d{20})$/.exec(key)?.[1];
    if (digits !== undefined) highest = Math.max(highest, Number(digits));
  }
  return highest;
}

const NOT_LOST = 'Nothing of the vault is lost, and nothing can be written before this is settled';

function behind({ url }: Journal, last: number, store: ObjectStore, copied: number): EkkoError {
  const found = last === 0 ? 'has no entry of this vault' : `ends at entry ${last}`;
  return new EkkoError(
    'journal-broken',
    `The SQL journal ${url} ${found}, but its copy in ${store.url} goes on to entry ${copied}: it is another database, a replica ` +
      `that lags, or one that was set back to an older state. ${NOT_LOST}. Name the right database, or, if that one is all there is, ` +
      'bring it up to date with `ekko journal adopt`.',
  );
}

function differ({ url }: Journal, store: ObjectStore, position: number): EkkoError {
  return new EkkoError(
    'journal-broken',
    `Entry ${position} of the SQL journal ${url} is not the one that its copy ${journalKey(position)} in ${store.url} holds: ` +
      `two databases were used for this vault, or one was changed. ${NOT_LOST}. If in doubt the copy is right, for what was ever ` +
      'reported as done is in it: bring it into an empty database with `ekko journal adopt`.',
  );
}

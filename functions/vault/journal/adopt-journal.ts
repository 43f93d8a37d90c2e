import { codeOf, EkkoError } from '../errors.ts';
import { journalKey } from '../store/object-names.ts';
import type { Journal, NumberedBytes } from './journal.ts';

export interface Adoption {
  /** Entries of the copy. */
  readonly entries: number;
  /** Of these, those that were missing in the SQL journal. */
  readonly added: number;
}

/**
 * Brings a SQL journal up to the copy of it in the vault: an empty one, one that was set back to an older state, or one with a gap.
 * What it has already must be the same. A crash leaves it incomplete, as it was: call again.
 * Throws `journal-broken` when an entry differs, when the copy has a gap, or when it is empty; `store-failed`.
 */
export async function adoptJournal(copy: Journal, sql: Journal): Promise<Adoption> {
  const theirs = sql.read(1)[Symbol.asyncIterator]();
  let [entries, added] = [0, 0];
  for await (const { position, bytes } of copy.read(1)) {
    entries++;
    const found = await nextOf(theirs);
    if (found === undefined) added += await add(copy, sql, position, bytes);
    else if (!found.bytes.equals(bytes)) throw differs(copy, sql, position);
  }
  await theirs.return?.();
  if (entries > 0) return { entries, added };
  throw new EkkoError(
    'journal-broken',
    `The vault in ${copy.url} holds no copy of its journal: there is nothing to adopt.`,
  );
}

/** Undefined at the end, or at a gap, and from there on. */
async function nextOf(entries: AsyncIterator<NumberedBytes>): Promise<NumberedBytes | undefined> {
  try {
    const found = await entries.next();
    return found.done ? undefined : found.value;
  } catch (error) {
    if (codeOf(error) !== 'journal-broken') throw error;
    return undefined;
  }
}

/** How many were added: none where the entry is there, behind a gap or from another adoption at the same time. */
async function add(copy: Journal, sql: Journal, position: number, bytes: Buffer): Promise<number> {
  if ((await sql.append(position, bytes)) === 'created') return 1;
  const found = await nextOf(sql.read(position)[Symbol.asyncIterator]());
  if (found?.position === position && found.bytes.equals(bytes)) return 0;
  throw differs(copy, sql, position);
}

function differs(copy: Journal, sql: Journal, position: number): EkkoError {
  return new EkkoError(
    'journal-broken',
    `Entry ${position} of the SQL journal ${sql.url} is not the one that ${journalKey(position)} in ${copy.url} holds: it is of ` +
      'another history of this vault. Adopt into an empty database.',
  );
}

import { EkkoError } from '#vault/errors.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { readEntries } from '#vault/journal/read-entries.ts';
import type { Vault } from '#vault/vault.ts';
import { plainText } from '../text/plain-text.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';
import { entryWords } from './entry-words.ts';

/** What of the journal to show; positions count from 1. */
export interface EntryRange {
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface ShownEntry {
  readonly position: number;
  readonly type: JournalEntry['type'];
  readonly at: string;
  /** One line. */
  readonly words: string;
}

const USUAL = 20;
const MOST = 10_000;

/** The entries of a range, by default the last 20. Throws `bad-input` for a range that cannot be meant, and what reading the journal throws. */
export async function showEntries(vault: Vault, range: EntryRange): Promise<ShownEntry[]> {
  const { from, to } = rangeOf(range, vault.journal.state().position);
  const shown: ShownEntry[] = [];
  for await (const { position, entry } of readEntries(vault, from, to)) {
    shown.push({ position, type: entry.type, at: entry.at, words: entryWords(entry) });
  }
  return shown;
}

function rangeOf({ from, to }: EntryRange, head: number): { from: number; to: number } {
  const last = Math.min(to ?? (from === undefined ? head : from + USUAL - 1), head);
  const first = from ?? Math.max(1, last - USUAL + 1);
  if (to !== undefined && to < first) throw new EkkoError('bad-input', `--to ${to} is before --from ${first}.`);
  if (last - first < MOST) return { from: first, to: last };
  throw new EkkoError(
    'bad-input',
    `Entries ${first} to ${last} are too many for one listing: ask for ${MOST} at most.`,
  );
}

export function describeEntries(entries: readonly ShownEntry[], head: number): string[] {
  if (entries.length === 0) return [`There is no such entry: the journal has ${head}.`];
  const rows = entries.map(({ position, type, at, words }) => [
    ...[String(position), formatTime(new Date(at)), type],
    plainText(words, WIDEST_WORDS),
  ]);
  return [...formatTable(COLUMNS, rows), '', `The journal has ${head} ${head === 1 ? 'entry' : 'entries'}.`];
}

const WIDEST_WORDS = 200;
const COLUMNS = [
  { title: 'ENTRY', align: 'right' },
  { title: 'TIME' },
  { title: 'TYPE' },
  { title: 'WHAT', widest: WIDEST_WORDS },
] as const;

import type { JournalEntry } from '#vault/journal/entries.ts';

/** What an entry says beside its type and time, for people: `run 20261120-191503-7c1e9a, group web, disks vda, vdb`. */
export function entryWords({ type: _, at: __, ...fields }: JournalEntry): string {
  return words(fields);
}

function words(fields: object): string {
  return Object.entries(fields)
    .map(([field, value]) => [field.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), valueWords(value)])
    .filter(([, text]) => text !== '')
    .map(([field, text]) => `${field} ${text}`)
    .join(', ');
}

const MOST_ITEMS = 3;

function valueWords(value: unknown): string {
  if (Array.isArray(value)) return listWords(value);
  if (typeof value === 'object' && value !== null) return `(${words(value)})`;
  return isDigest(value) ? `${value.slice(0, 8)}…` : String(value);
}

/** Names of objects say nothing to people: only how many there are. */
function listWords(items: readonly unknown[]): string {
  const named = items.filter((item) => !isDigest(item)).map(itemWords);
  if (named.length < items.length) return `(${items.length})`;
  const more = named.length > MOST_ITEMS ? ` and ${named.length - MOST_ITEMS} more` : '';
  return `${named.slice(0, MOST_ITEMS).join(' + ')}${more}`;
}

function itemWords(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item);
  return 'name' in item ? String(item.name) : words(item);
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

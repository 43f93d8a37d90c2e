import { codeOf, EkkoError } from '#vault/errors.ts';
import { Folder, journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/** The position of the last entry in a store's `journal/`; 0 where there is none. */
export async function listPositions(store: ObjectStore): Promise<number> {
  let last = 0;
  for await (const { key } of store.list(Folder.journal)) {
    const digits = /^journal\/(\d{20})$/.exec(key)?.[1];
    if (digits !== undefined) last = Math.max(last, Number(digits));
  }
  return last;
}

/** The same where a listing may lag: whether the next entry exists is decided by asking for it. */
export async function lastPosition(store: ObjectStore): Promise<number> {
  let last = await listPositions(store);
  while (await hasEntry(store, last + 1)) last++;
  return last;
}

export async function hasEntry(store: ObjectStore, position: number): Promise<boolean> {
  try {
    await store.get(journalKey(position), { start: 0, end: 1 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'object-missing') return false;
    throw error;
  }
}

/**
 * Copies the entries up to `head` that the target does not have, in order; resolves to how many. Each entry carries the digest of the one
 * before, so the target's last one tells whether all are the same. Throws `journal-broken` when the target has a history of its own.
 */
export async function copyJournal(source: ObjectStore, target: ObjectStore, head: number): Promise<number> {
  const there = await listPositions(target);
  if (there > head) throw taken(target, head + 1);
  if (there > 0 && !(await sameEntry(source, target, there))) throw taken(target, there);
  for (let position = there + 1; position <= head; position++) {
    const key = journalKey(position);
    const created = await target.create(key, [await source.get(key)]);
    if (created === 'exists' && !(await sameEntry(source, target, position))) throw taken(target, position);
  }
  return head - there;
}

async function sameEntry(source: ObjectStore, target: ObjectStore, position: number): Promise<boolean> {
  const [a, b] = await Promise.all([source, target].map((store) => store.get(journalKey(position))));
  return a !== undefined && b !== undefined && a.equals(b);
}

function taken({ url }: ObjectStore, position: number): EkkoError {
  return new EkkoError(
    'journal-broken',
    `${url} is no replica any more: its journal is its own from entry ${position} on, for somebody has written to it. ` +
      'Copy to another place, or make a vault there and copy without --as-is.',
  );
}

import pLimit from 'p-limit';
import { codeOf, EkkoError } from '#vault/errors.ts';
import { release } from '#vault/memory.ts';
import { CONTENT_NAMED, contentName, Folder, nameOf, VAULT_JSON } from '#vault/store/object-names.ts';
import type { ObjectStore, StoredObject } from '#vault/store/object-store.ts';
import { copyJournal, hasEntry, lastPosition } from './mirror-journal.ts';

export interface MirrorRequest {
  readonly source: ObjectStore;
  readonly target: ObjectStore;
  readonly onProgress?: (progress: MirrorSums) => void;
  readonly signal?: AbortSignal;
}

export interface MirrorSums {
  /** Content-named objects and key objects that were copied. */
  readonly objects: number;
  readonly bytes: number;
}

export interface MirrorReport extends MirrorSums {
  /** Journal entries that were copied. */
  readonly entries: number;
  /** Objects of the source whose bytes are not what their names say: they were not copied. */
  readonly damaged: readonly string[];
}

const AT_ONCE = 4;
const MOST_PASSES = 20;
/** Keys that are held between listing and copying: about 10 MB. */
const MOST_HELD = 100_000;

/** All that a vault is made of, beside its journal; what is left out is made anew, or worth nothing without its run. */
const MIRRORED = [...CONTENT_NAMED, Folder.keys] as const;

/**
 * Makes `target` a replica of the vault in `source`: the same objects under the same names, each compared with its name, and the
 * journal as it stands, entry by entry. Needs no key. What is there already is not copied again, so it is incremental and can
 * be cut off anywhere. An entry is copied when all is there that was live when it was the newest one; `vault.json` comes last, the first time.
 * Throws `object-exists` (another vault is there), `journal-broken` (the replica has entries of its own), `busy` (the source changes
 * faster than it can be listed), `object-missing` (no vault), `store-failed`.
 */
export async function mirrorVault({ source, target, onProgress, signal }: MirrorRequest): Promise<MirrorReport> {
  const description = await source.get(VAULT_JSON);
  await checkSameVault(target, description);
  const sums = { objects: 0, bytes: 0 };
  const count = (bytes: number) => {
    sums.objects++;
    sums.bytes += bytes;
    onProgress?.(sums);
  };
  for (let passes = 1; passes <= MOST_PASSES; passes++) {
    const head = await lastPosition(source);
    const { gone, damaged, still } = await copyObjects(source, target, { head, count, signal });
    if (gone > 0 || !still) continue;
    const entries = await copyJournal(source, target, head);
    await target.create(VAULT_JSON, [description]);
    return { ...sums, entries, damaged };
  }
  throw new EkkoError(
    'busy',
    `${source.url} is being written to and swept faster than it can be listed. Copy it again later; what was copied is kept.`,
  );
}

async function checkSameVault(target: ObjectStore, description: Buffer): Promise<void> {
  const found = await target.get(VAULT_JSON).catch((error: unknown) => {
    if (codeOf(error) === 'object-missing') return description;
    throw error;
  });
  if (found.equals(description)) return;
  throw new EkkoError('object-exists', `${target.url} holds another vault. Choose an empty place for the replica.`);
}

interface Pass {
  /** Objects that were listed, and gone when they were read. */
  readonly gone: number;
  readonly damaged: readonly string[];
  /**
   * Whether the journal stood still until all was listed. Else what is live at `head` may have been moved, condemned and removed before
   * it was listed, and nobody would miss it. Nothing is removed that no entry condemns: if no entry came, all of it was listed.
   */
  readonly still: boolean;
}

interface PassRequest {
  readonly head: number;
  readonly count: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

async function copyObjects(
  source: ObjectStore,
  target: ObjectStore,
  { head, count, signal }: PassRequest,
): Promise<Pass> {
  const limit = pLimit(AT_ONCE);
  const damaged: string[] = [];
  let gone = 0;
  let held: string[] = [];
  const copyHeld = async () => {
    const keys = held;
    held = [];
    await limit.map(keys, async (key) => {
      signal?.throwIfAborted();
      const outcome = await copyObject(source, target, key);
      if (outcome === 'gone') gone++;
      else if (outcome === 'damaged') damaged.push(key);
      else count(outcome);
    });
  };
  for (const folder of MIRRORED) {
    for await (const key of missingIn(source.list(folder), target.list(folder))) {
      held.push(key);
      if (held.length === MOST_HELD) await copyHeld();
    }
  }
  const still = !(await hasEntry(source, head + 1));
  await copyHeld();
  return { gone, damaged: damaged.sort(), still };
}

/** Bytes that were copied, or why none were. */
async function copyObject(source: ObjectStore, target: ObjectStore, key: string): Promise<number | 'gone' | 'damaged'> {
  const bytes = await source.get(key).catch((error: unknown) => {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  });
  if (bytes === undefined) return 'gone';
  if (contentName([bytes]) !== (nameOf(key) ?? key.split('/').at(-1))) return 'damaged';
  const { length } = bytes;
  await target.create(key, [bytes]);
  release(bytes);
  return length;
}

/** Keys of the first that the second does not have; both ascend, so neither is held in memory. */
async function* missingIn(
  wanted: AsyncIterable<StoredObject>,
  there: AsyncIterable<StoredObject>,
): AsyncGenerator<string> {
  const having = there[Symbol.asyncIterator]();
  try {
    let have = await having.next();
    for await (const { key } of wanted) {
      while (!have.done && have.value.key < key) have = await having.next();
      if (have.done || have.value.key !== key) yield key;
    }
  } finally {
    await having.return?.();
  }
}

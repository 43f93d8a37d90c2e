import { EkkoError } from '../errors.ts';
import { clipRange } from './byte-range.ts';
import { checkKey } from './check-key.ts';
import { Folder } from './object-names.ts';
import { NOTHING_KEPT, type ObjectStore } from './object-store.ts';

/**
 * A staging prefix in memory that the threads of one process share: where exporter and functions run side by side, a part
 * needs no file. Its parts die with the process, and so does the run that they belong to.
 */
export interface SharedStaging {
  /** One entry a slot: u32 start of the object, u32 length, u32 length of its key (0: free), the key. */
  readonly directory: SharedArrayBuffer;
  readonly slots: readonly SharedArrayBuffer[];
  /** Bytes at the start of each slot that are kept for what comes before the data of a part. */
  readonly headRoom: number;
}

const LONGEST_KEY = 116;
const ENTRY_SIZE = 12 + LONGEST_KEY;

/** What comes behind a header that is an object by itself: the path of a file. */
const TAIL_ROOM = 8 * 1024;

/**
 * Memory for `count` objects, each with at most `dataSize` bytes and `headRoom` before them, and for `small` ones that are little more than
 * a header. One thread creates objects in it; every thread may get and remove them.
 */
export function newSharedStaging(count: number, headRoom: number, dataSize: number, small = 0): SharedStaging {
  const slots = (many: number, size: number) => Array.from({ length: many }, () => new SharedArrayBuffer(size));
  return {
    directory: new SharedArrayBuffer((small + count) * ENTRY_SIZE),
    // The small ones first: an object takes the first that it fits into.
    slots: [...slots(small, headRoom + TAIL_ROOM), ...slots(count, headRoom + dataSize)],
    headRoom,
  };
}

/**
 * Room for a part's data in a free slot: a `create` whose last piece lies there copies the pieces before it only.
 * Belongs to the caller until that `create`, or for ever unused; ask for one at a time. Throws `store-failed` when no slot is free.
 */
export function roomForPart({ directory, slots, headRoom }: SharedStaging): Uint8Array {
  const largest = Math.max(...slots.map(({ byteLength }) => byteLength));
  const slot = slots.find(({ byteLength }, i) => byteLength === largest && openEntry(directory, i).key() === '');
  if (slot === undefined) throw noRoom('A part', 0, slots.length);
  return new Uint8Array(slot, headRoom);
}

/**
 * `store`, but with everything under `staging/` in shared memory. `get` gives views of that memory, not copies: they are valid
 * until the object is removed. `create` throws `store-failed` when all slots are taken or the object is too large.
 */
export function withSharedStaging(store: ObjectStore, { directory, slots, headRoom }: SharedStaging): ObjectStore {
  const entries = slots.map((_, i) => openEntry(directory, i));
  const find = (key: string) => entries.findIndex((entry) => entry.key() === key);
  const isStaged = (key: string) => key.startsWith(Folder.staging);

  return {
    url: store.url,
    locking: store.locking,

    async create(key, body, options) {
      if (!isStaged(checkKey(key))) return store.create(key, body, options);
      if (find(key) >= 0) return 'exists';
      const placed = placeOf(body);
      const slot = slots[placed.slot];
      const length = body.reduce((sum, piece) => sum + piece.length, 0);
      if (slot === undefined || placed.start + length > slot.byteLength) throw noRoom(key, length, slots.length);
      copyInto(new Uint8Array(slot, placed.start), placed.pieces);
      entries[placed.slot]?.take(key, placed.start, length);
      return 'created';
    },

    async get(key, range) {
      if (!isStaged(key)) return store.get(key, range);
      const at = find(key);
      const entry = entries[at];
      const slot = slots[at];
      if (slot === undefined || entry === undefined) throw new EkkoError('object-missing', `${key} is not staged.`);
      const { start, end } = clipRange(range, entry.length());
      return Buffer.from(slot, entry.start() + start, end - start);
    },

    async *list(prefix, options = {}) {
      if (!isStaged(prefix)) return yield* store.list(prefix, options);
      const staged = entries
        .map((entry) => ({ key: entry.key(), size: entry.length() }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      yield* staged.filter(({ key }) => key.startsWith(prefix) && key > (options.after ?? ''));
    },

    async remove(keys) {
      for (const key of keys.filter(isStaged)) entries[find(key)]?.free();
      const rest = keys.filter((key) => !isStaged(key));
      return rest.length === 0 ? NOTHING_KEPT : store.remove(rest);
    },
  };

  /** Where a body goes: before its last piece where that lies in a slot already, else to the start of a free one. */
  function placeOf(body: readonly Uint8Array[]): { slot: number; start: number; pieces: readonly Uint8Array[] } {
    const length = body.reduce((sum, piece) => sum + piece.length, 0);
    const head = body.slice(0, -1);
    const before = head.reduce((sum, piece) => sum + piece.length, 0);
    const memory = body.at(-1)?.buffer;
    const inPlace = memory instanceof SharedArrayBuffer ? slots.indexOf(memory) : -1;
    if (inPlace >= 0 && before <= headRoom) return { slot: inPlace, start: headRoom - before, pieces: head };
    const fits = (slot: number) => length <= (slots[slot]?.byteLength ?? 0);
    return { slot: entries.findIndex((entry, at) => entry.key() === '' && fits(at)), start: 0, pieces: body };
  }
}

function openEntry(directory: SharedArrayBuffer, number: number) {
  const sizes = new Int32Array(directory, number * ENTRY_SIZE, 3);
  const text = Buffer.from(directory, number * ENTRY_SIZE + 12, LONGEST_KEY);
  return {
    key: () => text.toString('latin1', 0, Atomics.load(sizes, 2)),
    start: () => Atomics.load(sizes, 0),
    length: () => Atomics.load(sizes, 1),
    take(key: string, start: number, length: number) {
      Atomics.store(sizes, 0, start);
      Atomics.store(sizes, 1, length);
      // The key's length comes last: it is what makes the object be there.
      Atomics.store(sizes, 2, text.write(key, 'latin1'));
    },
    free: () => Atomics.store(sizes, 2, 0),
  };
}

function copyInto(memory: Uint8Array, pieces: readonly Uint8Array[]): void {
  let at = 0;
  for (const piece of pieces) {
    memory.set(piece, at);
    at += piece.length;
  }
}

function noRoom(key: string, length: number, slots: number): EkkoError {
  return new EkkoError(
    'store-failed',
    `${key} (${length} bytes) finds no room in the ${slots} slots of shared memory for staged parts.`,
  );
}

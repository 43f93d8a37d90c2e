import type { MovedPacks } from './pack-moves.ts';

const NAME_SIZE = 32;
const ENTRY_SIZE = 2 * NAME_SIZE;

/** Moved packs as memory that threads share: for each pack its name and that of its move, ascending by pack. */
export function packMovedTable(moved: MovedPacks): SharedArrayBuffer {
  const entries = [...moved].sort(([a], [b]) => (a < b ? -1 : 1));
  const memory = new SharedArrayBuffer(entries.length * ENTRY_SIZE);
  const bytes = Buffer.from(memory);
  for (const [i, [pack, move]] of entries.entries()) bytes.write(pack + move, i * ENTRY_SIZE, 'hex');
  return memory;
}

export function readMovedTable(memory: SharedArrayBuffer): MovedPacks {
  const bytes = Buffer.from(memory);
  const nameAt = (at: number) => bytes.toString('hex', at, at + NAME_SIZE);
  return {
    get(pack) {
      const name = Buffer.from(pack, 'hex');
      let [low, high] = [0, bytes.length / ENTRY_SIZE];
      while (low < high) {
        const middle = (low + high) >>> 1;
        const at = middle * ENTRY_SIZE;
        const order = name.compare(bytes, at, at + NAME_SIZE);
        if (order === 0) return nameAt(at + NAME_SIZE);
        if (order > 0) low = middle + 1;
        else high = middle;
      }
      return undefined;
    },
    *[Symbol.iterator]() {
      for (let at = 0; at < bytes.length; at += ENTRY_SIZE) yield [nameAt(at), nameAt(at + NAME_SIZE)] as const;
    },
  };
}

import { ByteReader, u32Bytes } from '#vault/format/bytes.ts';
import { type Name, newNameTable } from '#vault/name-table.ts';

const NAME_SIZE = 32;
const FIRST_CAPACITY = 64 * 1024;

/** What live pages need, as one note says it. Numbers are those of `packs` and `moves`. */
export interface NotePart {
  readonly packs: readonly string[];
  readonly moves: readonly string[];
  readonly pages: readonly NotedPage[];
}

export interface NotedPage {
  readonly name: string;
  readonly packs: Uint32Array;
  readonly moves: Uint32Array;
}

/** Collects what pages need until it is enough for a note. */
export interface NoteDraft {
  /** Bytes of its body so far. */
  readonly size: number;
  add(page: string, packs: Iterable<Name>, moves: Iterable<Name>): void;
  encode(): Buffer;
}

export function newNoteDraft(): NoteDraft {
  const packs = newNameTable();
  const moves = newNameTable();
  const entries = newEntries();
  let pages = 0;
  return {
    get size() {
      return entries.size + (packs.size + moves.size) * NAME_SIZE;
    },
    add(page, packNames, moveNames) {
      const own = [...packNames].map(packs.add).sort((a, b) => a - b);
      const followed = [...moveNames].map(moves.add).sort((a, b) => a - b);
      entries.add(page, [own.length, followed.length, ...own, ...followed]);
      pages++;
    },
    encode() {
      const names = [packs, moves].map((table) => {
        const all = Array.from({ length: table.size }, (_, number) => table.name(number));
        return Buffer.from(all.join(''), 'hex');
      });
      return Buffer.concat([u32Bytes([packs.size, moves.size, pages]), ...names, entries.bytes()]);
    },
  };
}

/** One growing piece of memory: thousands of small buffers would each keep alive the pool that it was cut from. */
function newEntries() {
  let memory = Buffer.alloc(FIRST_CAPACITY);
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(name: string, numbers: readonly number[]): void {
      const end = size + NAME_SIZE + numbers.length * 4;
      while (end > memory.length) memory = Buffer.concat([memory], memory.length * 2);
      memory.write(name, size, 'hex');
      for (const [i, number] of numbers.entries()) memory.writeUInt32LE(number, size + NAME_SIZE + i * 4);
      size = end;
    },
    bytes: () => memory.subarray(0, size),
  };
}

/** Throws `bad-format`. */
export function decodeNotePart(body: Buffer, origin: string): NotePart {
  const reader = new ByteReader(body, origin);
  const most = Math.floor(body.length / NAME_SIZE);
  const counts = [reader.count(most, 'packs'), reader.count(most, 'moves'), reader.count(most, 'pages')] as const;
  const names = (count: number) => Array.from({ length: count }, () => reader.take(NAME_SIZE).toString('hex'));
  const [packs, moves] = [names(counts[0]), names(counts[1])];
  const pages = Array.from({ length: counts[2] }, (): NotedPage => {
    const name = reader.take(NAME_SIZE).toString('hex');
    const [own, followed] = [reader.count(packs.length, 'packs'), reader.count(moves.length, 'moves')];
    return { name, packs: numbers(reader, own, packs.length), moves: numbers(reader, followed, moves.length) };
  });
  reader.end();
  return { packs, moves, pages };
}

function numbers(reader: ByteReader, count: number, below: number): Uint32Array {
  const found = new Uint32Array(count);
  const bytes = reader.take(count * 4);
  for (let i = 0; i < count; i++) {
    const number = bytes.readUInt32LE(i * 4);
    if (number >= below) throw reader.refuse(`names number ${number} of ${below}`);
    found[i] = number;
  }
  return found;
}

const NAME_SIZE = 32;
const FIRST_CAPACITY = 64;

/** A name: hex, or its 32 bytes. */
export type Name = string | Uint8Array;

/** Names of objects, numbered from 0 in the order in which they come; about 48 bytes each, whatever their number. */
export interface NameTable {
  readonly size: number;
  /** The name's number; a new one where it has not been there before. */
  add(name: Name): number;
  /** The name's number, or -1. */
  find(name: Name): number;
  has(name: Name): boolean;
  /** The name of that number. */
  name(number: number): string;
}

/** A hash table with open addressing: the names are digests, so their first bytes spread by themselves. */
export function newNameTable(): NameTable {
  const wanted = Buffer.alloc(NAME_SIZE);
  let names = Buffer.alloc(FIRST_CAPACITY * NAME_SIZE);
  let slots = new Int32Array(FIRST_CAPACITY * 2);
  let size = 0;

  /** The slot that holds the name in `wanted`, or the free one where it belongs. A slot holds a number plus one; 0 is free. */
  const slotOf = (): number => {
    let slot = wanted.readUInt32LE(0) % slots.length;
    for (;;) {
      const number = (slots[slot] ?? 0) - 1;
      if (number < 0) return slot;
      if (wanted.compare(names, number * NAME_SIZE, (number + 1) * NAME_SIZE) === 0) return slot;
      slot = (slot + 1) % slots.length;
    }
  };

  const grow = (): void => {
    const larger = Buffer.alloc(names.length * 2);
    names.copy(larger);
    names = larger;
    slots = new Int32Array(slots.length * 2);
    for (let number = 0; number < size; number++) {
      names.copy(wanted, 0, number * NAME_SIZE, (number + 1) * NAME_SIZE);
      slots[slotOf()] = number + 1;
    }
  };

  const want = (name: Name): void => {
    if (typeof name === 'string') wanted.write(name, 'hex');
    else wanted.set(name);
  };

  const find = (name: Name): number => {
    want(name);
    return (slots[slotOf()] ?? 0) - 1;
  };

  return {
    get size() {
      return size;
    },
    find,
    has: (name) => find(name) >= 0,
    add(name) {
      const known = find(name);
      if (known >= 0) return known;
      if ((size + 1) * NAME_SIZE > names.length) grow();
      want(name);
      wanted.copy(names, size * NAME_SIZE);
      slots[slotOf()] = size + 1;
      return size++;
    },
    name: (number) => names.toString('hex', number * NAME_SIZE, (number + 1) * NAME_SIZE),
  };
}

import { type PackReference, packName } from './format/pack.ts';
import { newNameTable } from './name-table.ts';

const TAG_SIZE = 16;
const FIRST_CAPACITY = 64;

/** Packs by how pages name them, numbered from 0 in the order in which they come; about 64 bytes each, whatever their number. */
export interface PackTable {
  readonly size: number;
  /** The number of the pack that is named; a new one where its name has not been there before. */
  add(reference: PackReference): number;
  /** How the pack was named first. Of two ways only one can be meant. */
  reference(pack: number): PackReference;
  /** Whether a reference that has the pack's name is the one by which it was named first. */
  isFirst(pack: number, reference: PackReference): boolean;
  /** The number of a pack by its name, or -1. */
  find(name: string): number;
  name(pack: number): string;
}

export function newPackTable(): PackTable {
  const names = newNameTable();
  let tags = Buffer.alloc(FIRST_CAPACITY * TAG_SIZE);
  const tagOf = (pack: number) => tags.toString('hex', pack * TAG_SIZE, (pack + 1) * TAG_SIZE);
  return {
    get size() {
      return names.size;
    },
    add(reference) {
      const known = names.size;
      const pack = names.add(packName(reference));
      if (pack < known) return pack;
      if (names.size * TAG_SIZE > tags.length) tags = Buffer.concat([tags, Buffer.alloc(tags.length)]);
      tags.write(reference.slice(-2 * TAG_SIZE), pack * TAG_SIZE, 'hex');
      return pack;
    },
    reference: (pack) => names.name(pack) + tagOf(pack),
    isFirst: (pack, reference) => reference.endsWith(tagOf(pack)),
    find: names.find,
    name: names.name,
  };
}

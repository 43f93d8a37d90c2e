import { type PackReference, packName } from '#vault/format/pack.ts';
import { newNameTable } from '#vault/name-table.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { PackUse } from './judge-pack.ts';

const TAG_SIZE = 16;
const FIRST_CAPACITY = 64;

/** The packs that restore points need, numbered from 0; about 70 bytes each, whatever their number. */
export interface NeededPacks {
  readonly size: number;
  /** Notes that the pack must have at least so many segments. */
  add(reference: PackReference, segments: number): void;
  /** The number of the pack that lies at `key`, or -1. */
  find(key: string): number;
  key(pack: number): string;
  /** How pages name the pack: more than one way is a fault of one of them. */
  uses(pack: number): readonly PackUse[];
}

export function newNeededPacks(): NeededPacks {
  const names = newNameTable();
  /** Of the reference that was met first. */
  let tags = Buffer.alloc(FIRST_CAPACITY * TAG_SIZE);
  let segments = new Uint32Array(FIRST_CAPACITY);
  /** Other references, of few packs if any. */
  const others = new Map<number, Map<PackReference, number>>();

  const tagOf = (pack: number) => tags.toString('hex', pack * TAG_SIZE, (pack + 1) * TAG_SIZE);
  const referenceOf = (pack: number) => names.name(pack) + tagOf(pack);

  function makeRoom(): void {
    if (names.size <= segments.length) return;
    tags = Buffer.concat([tags, Buffer.alloc(tags.length)]);
    const more = new Uint32Array(segments.length * 2);
    more.set(segments);
    segments = more;
  }

  return {
    get size() {
      return names.size;
    },
    add(reference, count) {
      const known = names.size;
      const pack = names.add(packName(reference));
      makeRoom();
      if (pack === known) tags.write(reference.slice(-2 * TAG_SIZE), pack * TAG_SIZE, 'hex');
      if (reference.endsWith(tagOf(pack))) {
        segments[pack] = Math.max(segments[pack] ?? 0, count);
        return;
      }
      const odd = others.get(pack) ?? new Map<PackReference, number>();
      others.set(pack, odd.set(reference, Math.max(odd.get(reference) ?? 0, count)));
    },
    find(key) {
      const name = nameOf(key);
      return name === undefined ? -1 : names.find(name);
    },
    key: (pack) => contentKey(Folder.packs, names.name(pack)),
    uses(pack) {
      const odd = [...(others.get(pack) ?? [])].map(([reference, count]) => ({ reference, segments: count }));
      return [{ reference: referenceOf(pack), segments: segments[pack] ?? 0 }, ...odd];
    },
  };
}

/** How pages name what lies at `key`; not at all where it is no pack, or not needed. */
export function usesAt(packs: NeededPacks, key: string): readonly PackUse[] {
  const pack = packs.find(key);
  return pack < 0 ? [] : packs.uses(pack);
}

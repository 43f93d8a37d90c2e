import type { PackReference } from '#vault/format/pack.ts';
import { newPackTable } from '#vault/pack-table.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { PackUse } from './judge-pack.ts';

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
  const packs = newPackTable();
  let segments = new Uint32Array(FIRST_CAPACITY);
  /** Other ways to name a pack, of few packs if any. */
  const others = new Map<number, Map<PackReference, number>>();

  return {
    get size() {
      return packs.size;
    },
    add(reference, count) {
      const pack = packs.add(reference);
      if (packs.size > segments.length) segments = doubled(segments);
      if (packs.isFirst(pack, reference)) {
        segments[pack] = Math.max(segments[pack] ?? 0, count);
        return;
      }
      const odd = others.get(pack) ?? new Map<PackReference, number>();
      others.set(pack, odd.set(reference, Math.max(odd.get(reference) ?? 0, count)));
    },
    find(key) {
      const name = nameOf(key);
      return name === undefined ? -1 : packs.find(name);
    },
    key: (pack) => contentKey(Folder.packs, packs.name(pack)),
    uses(pack) {
      const odd = [...(others.get(pack) ?? [])].map(([reference, count]) => ({ reference, segments: count }));
      return [{ reference: packs.reference(pack), segments: segments[pack] ?? 0 }, ...odd];
    },
  };
}

function doubled(numbers: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}

/** How pages name what lies at `key`; not at all where it is no pack, or not needed. */
export function usesAt(packs: NeededPacks, key: string): readonly PackUse[] {
  const pack = packs.find(key);
  return pack < 0 ? [] : packs.uses(pack);
}

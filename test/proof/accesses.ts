import { CONTENT_NAMED, Folder } from '#vault/store/object-names.ts';
import type { Step } from './stepping-store.ts';

/**
 * Which steps of different actors matter to each other. Two steps commute, and only one of their orders has to be explored, unless
 * they touch the same key (or a listing covers it) and one of them writes. Beyond that, an object that a restore point may need is
 * never removed in any order with writing a journal entry: the invariants speak of both. Not so one that the journal has
 * condemned before, for a point that needs a condemned object is broken whether the object is there or not.
 */
export interface Accesses {
  /** The access of a step, as a set of one. Sets are numbers, a bit an access. */
  of(step: Step): bigint;
  /** All known accesses that conflict with this set of one. */
  conflicting(access: bigint): bigint;
}

interface Access {
  readonly verb: Step['verb'];
  /** The key, or a listing's prefix. */
  readonly key: string;
  readonly after: string;
  /** Whether it is a removal that the invariants can see. */
  readonly seen: boolean;
}

export function newAccesses(): Accesses {
  const known: { readonly access: Access; readonly bit: bigint }[] = [];
  const bits = new Map<string, bigint>();
  const conflicts = new Map<bigint, bigint>();
  const found = new WeakMap<Step, bigint>();

  const add = (access: Access): bigint => {
    const bit = 1n << BigInt(known.length);
    let own = 0n;
    for (const other of known) {
      if (!conflict(access, other.access)) continue;
      own |= other.bit;
      conflicts.set(other.bit, (conflicts.get(other.bit) ?? 0n) | bit);
    }
    if (conflict(access, access)) own |= bit;
    conflicts.set(bit, own);
    known.push({ access, bit });
    return bit;
  };

  return {
    of(step) {
      const known = found.get(step);
      if (known !== undefined) return known;
      const access = accessOf(step);
      const name = `${access.verb} ${access.key} ${access.after} ${access.seen}`;
      const bit = bits.get(name) ?? add(access);
      bits.set(name, bit);
      found.set(step, bit);
      return bit;
    },
    conflicting: (access) => conflicts.get(access) ?? 0n,
  };
}

function accessOf(step: Step): Access {
  if (step.verb === 'list' || step.verb === 'read')
    return { verb: 'list', key: step.prefix, after: step.after, seen: false };
  return { verb: step.verb, key: step.key, after: '', seen: step.verb === 'remove' && step.condemned !== true };
}

export function conflict(a: Access, b: Access): boolean {
  if (!writes(a) && !writes(b)) return false;
  if (a.verb === 'list') return covers(a, b);
  if (b.verb === 'list') return covers(b, a);
  // Removing twice is removing once.
  if (a.key === b.key) return a.verb !== 'remove' || b.verb !== 'remove';
  return decidesLife(a, b) || decidesLife(b, a);
}

function writes({ verb }: Access): boolean {
  return verb === 'create' || verb === 'remove';
}

function covers(list: Access, { verb, key }: Access): boolean {
  return verb !== 'list' && key.startsWith(list.key) && key > list.after;
}

function decidesLife(entry: Access, object: Access): boolean {
  const isEntry = entry.verb === 'create' && entry.key.startsWith(Folder.journal);
  return isEntry && object.seen && CONTENT_NAMED.some((folder) => object.key.startsWith(folder));
}

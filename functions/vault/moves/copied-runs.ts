import type { MovedPack, MovedRun } from '../format/move.ts';
import type { PackReference } from '../format/pack.ts';
import type { FreshPack, FreshPlace } from './fresh-packs.ts';

/** Segments `first`, `first + 1`, … of an old pack are segments `targetFirst`, … of the fresh pack of number `target`. */
export interface CopiedRun {
  readonly first: number;
  readonly count: number;
  readonly target: number;
  readonly targetFirst: number;
}

/** One old pack, and what of it was copied. */
export interface CopiedSegments {
  readonly reference: PackReference;
  readonly runs: readonly CopiedRun[];
}

/** Where segments of a pack were put, as runs, ascending. */
export function runsOf(places: ReadonlyMap<number, FreshPlace>): CopiedRun[] {
  const runs: CopiedRun[] = [];
  for (const [first, { pack, segment }] of [...places].sort(([a], [b]) => a - b)) {
    const last = runs.at(-1);
    const continues =
      last !== undefined &&
      last.first + last.count === first &&
      last.target === pack &&
      last.targetFirst + last.count === segment;
    if (continues) runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push({ first, count: 1, target: pack, targetFirst: segment });
  }
  return runs;
}

/** The body of a move record. */
export function movedPacks(packs: readonly CopiedSegments[], fresh: readonly FreshPack[]): MovedPack[] {
  return packs.map(({ reference, runs }) => ({
    pack: reference,
    runs: runs.map(({ first, count, target, targetFirst }): MovedRun => {
      return { first, count, target: fresh[target]?.reference ?? '', targetFirst };
    }),
  }));
}

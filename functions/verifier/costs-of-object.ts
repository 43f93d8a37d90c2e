import type { AffectedDisk, Costs } from './report.ts';

/** What hangs on one object at fault. */
export interface AffectedByObject {
  /** The first ranges; they ascend and do not touch. */
  readonly affects: readonly AffectedDisk[];
  /** Of all ranges. */
  readonly costs: Costs;
}

/** Adds up what hangs on one object. */
export interface CostsOfObject extends AffectedByObject {
  /** Point by point, disk by disk, ascending. What continues the range before belongs to it. */
  add(range: AffectedDisk): void;
}

export const NO_COSTS: Costs = { points: 0, disks: 0, ranges: 0, bytes: 0 };

/** Nothing hangs on it yet. Of its ranges the first `most` are kept. */
export function newCostsOfObject(most: number): CostsOfObject {
  const affects: AffectedDisk[] = [];
  const costs = { ...NO_COSTS };
  let last: (AffectedDisk & { length: number }) | undefined;
  return {
    affects,
    costs,
    add(range) {
      const { point, disk, offset, length } = range;
      costs.bytes += length;
      const isSamePoint = last?.point === point;
      const isSameDisk = isSamePoint && last?.disk === disk;
      if (last !== undefined && isSameDisk && last.offset + last.length === offset) {
        last.length += length;
        return;
      }
      if (!isSamePoint) costs.points++;
      if (!isSameDisk) costs.disks++;
      costs.ranges++;
      last = { point, disk, offset, length };
      if (affects.length < most) affects.push(last);
    },
  };
}

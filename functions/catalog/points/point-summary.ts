import type { RestorePoint } from '#vault/format/point.ts';

/** A restore point in a few words. Bytes. */
export interface PointSummary {
  readonly point: string;
  readonly group: string;
  readonly takenAt: string;
  readonly disks: number;
  readonly size: number;
  /** Read as changed; new to the vault; what that took there. */
  readonly changedBytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  /** `application`, `file-system` or `crash`: that of its weakest disk. */
  readonly consistency: string;
  readonly partial: boolean;
  /** Disks and servers of the group that it does not hold; at most the first 100. */
  readonly missing: readonly string[];
}

const MOST_MISSING = 100;
const WEAKEST_FIRST = ['crash', 'file-system', 'application'] as const;

export function summaryOf({ id, group, takenAt, disks, missing = [] }: RestorePoint): PointSummary {
  const sum = (of: (disk: (typeof disks)[number]) => number) => disks.reduce((total, disk) => total + of(disk), 0);
  return {
    ...{ point: id, group, takenAt, disks: disks.length, size: sum(({ diskSize }) => diskSize) },
    changedBytes: sum(({ changedBytes }) => changedBytes),
    newBytes: sum(({ newBytes }) => newBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    consistency: WEAKEST_FIRST.find((each) => disks.some(({ consistency }) => consistency === each)) ?? 'crash',
    partial: missing.length > 0,
    missing: missing.slice(0, MOST_MISSING),
  };
}

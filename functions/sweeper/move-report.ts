import type { LivenessProblem } from './liveness.ts';

/** What a compaction did, or, dry, would do. Bytes are as stored; gains are estimates. */
export interface MoveReport {
  readonly dryRun: boolean;
  /** Packs that restore points use. */
  readonly packs: number;
  /** Those that are worth rewriting. */
  readonly sparse: SparseSum;
  /** Of these, what the limit allows. */
  readonly chosen: SparseSum;
  /** Packs that were emptied, which the next sweep removes, and those that were written for them. */
  readonly moved: {
    readonly packs: number;
    readonly bytes: number;
    readonly newPacks: number;
    readonly newBytes: number;
  };
  /** Records that cannot be read, for which nothing is moved; and packs that cannot, which stay as they are. */
  readonly problems: readonly LivenessProblem[];
  readonly seconds: number;
}

export interface SparseSum {
  readonly packs: number;
  readonly bytes: number;
  readonly gain: number;
}

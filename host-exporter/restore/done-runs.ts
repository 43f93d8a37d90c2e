import type { SegmentRun } from '#vault/words.ts';

/** A set of segments as runs, ascending and not touching. */
export interface DoneRuns {
  add(run: SegmentRun): void;
  has(run: SegmentRun): boolean;
  list(): SegmentRun[];
}

export function newDoneRuns(from: readonly SegmentRun[]): DoneRuns {
  let runs = [...from];
  return {
    add(run) {
      runs = merged([...runs, run]);
    },
    has: ({ first, count }) => runs.some((run) => run.first <= first && first + count <= run.first + run.count),
    list: () => runs,
  };
}

function merged(runs: readonly SegmentRun[]): SegmentRun[] {
  const result: SegmentRun[] = [];
  for (const run of runs.toSorted((a, b) => a.first - b.first)) {
    const last = result.at(-1);
    if (last === undefined || last.first + last.count < run.first) result.push(run);
    else {
      const end = Math.max(last.first + last.count, run.first + run.count);
      result[result.length - 1] = { first: last.first, count: end - last.first };
    }
  }
  return result;
}

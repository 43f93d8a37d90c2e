import type { SegmentRun } from '#vault/words.ts';

/** Numbers of segments, in any order, each once, as ascending runs. */
export function segmentRuns(segments: Iterable<number>): SegmentRun[] {
  const runs: SegmentRun[] = [];
  for (const first of [...segments].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === first) {
      runs[runs.length - 1] = { first: last.first, count: last.count + 1 };
    } else runs.push({ first, count: 1 });
  }
  return runs;
}

/** How many segments runs have together. */
export function countSegments(runs: readonly SegmentRun[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

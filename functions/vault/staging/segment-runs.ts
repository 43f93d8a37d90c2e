/** Sets of segments as ascending runs that neither touch nor overlap. Pure; cost and memory go with the number of runs. */
import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';

export interface RunBuilder {
  /** Adds the segments that bytes `[offset, offset + length)` touch. Offsets must not go backwards. */
  add(offset: number, length: number): void;
  readonly runs: readonly SegmentRun[];
}

/** Collects byte extents as the segments they touch, joined where they meet. */
export function createRunBuilder(): RunBuilder {
  const runs: SegmentRun[] = [];
  return {
    runs,
    add(offset, length) {
      if (length <= 0) return;
      const end = Math.ceil((offset + length) / SEGMENT_SIZE);
      const last = runs.at(-1);
      const first = Math.floor(offset / SEGMENT_SIZE);
      if (last === undefined || first > last.first + last.count) runs.push({ first, count: end - first });
      else runs[runs.length - 1] = { first: last.first, count: Math.max(last.count, end - last.first) };
    },
  };
}

/** How many segments the runs hold. */
export function countSegments(runs: readonly SegmentRun[]): number {
  return runs.reduce((sum, run) => sum + run.count, 0);
}

/** Segments in both. */
export function intersect(left: readonly SegmentRun[], right: readonly SegmentRun[]): readonly SegmentRun[] {
  const both: SegmentRun[] = [];
  let [l, r] = [0, 0];
  for (let [a, b] = [left[0], right[0]]; a && b; [a, b] = [left[l], right[r]]) {
    const first = Math.max(a.first, b.first);
    const end = Math.min(a.first + a.count, b.first + b.count);
    if (end > first) both.push({ first, count: end - first });
    if (a.first + a.count === end) l += 1;
    else r += 1;
  }
  return both;
}

/** Segments of `from` that are not in `gone`. */
export function subtract(from: readonly SegmentRun[], gone: readonly SegmentRun[]): readonly SegmentRun[] {
  const rest: SegmentRun[] = [];
  let g = 0;
  for (const run of from) {
    let at = run.first;
    const end = run.first + run.count;
    for (let hole = gone[g]; hole && hole.first < end; hole = gone[g]) {
      if (hole.first > at) rest.push({ first: at, count: hole.first - at });
      at = Math.max(at, hole.first + hole.count);
      // A hole that reaches past this run may also cut the next one.
      if (hole.first + hole.count > end) break;
      g += 1;
    }
    if (at < end) rest.push({ first: at, count: end - at });
  }
  return rest;
}

/** Segments in either. */
export function unite(left: readonly SegmentRun[], right: readonly SegmentRun[]): readonly SegmentRun[] {
  return closeGaps(
    [...left, ...right].toSorted((a, b) => a.first - b.first),
    0,
  );
}

/** The runs with gaps of up to `gap` segments closed. */
export function closeGaps(runs: readonly SegmentRun[], gap: number): readonly SegmentRun[] {
  const joined: SegmentRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && run.first - (last.first + last.count) <= gap) {
      const end = Math.max(last.first + last.count, run.first + run.count);
      joined[joined.length - 1] = { first: last.first, count: end - last.first };
    } else joined.push(run);
  }
  return joined;
}

/** Segments of a sample that lie together, 4 MiB where nothing lies between: a few places cost few reads and concern few packs. */
const TOGETHER = 64;

/**
 * A random sample: `share` of the segments, at most `most`, each at most once; at few random places rather than at many.
 * `random` gives 0 to 1.
 */
export function sample(
  runs: readonly SegmentRun[],
  share: number,
  most: number,
  random: () => number,
): readonly SegmentRun[] {
  const total = countSegments(runs);
  const wanted = Math.min(total, most, Math.ceil(total * share));
  const builder = createRunBuilder();
  let [r, before] = [0, 0];
  for (const index of pickTogether(total, wanted, random)) {
    for (let run = runs[r]; run && index >= before + run.count; run = runs[r]) {
      before += run.count;
      r += 1;
    }
    const run = runs[r];
    if (run) builder.add((run.first + index - before) * SEGMENT_SIZE, SEGMENT_SIZE);
  }
  return builder.runs;
}

/** Ascending distinct numbers below `total`, in few stretches of `TOGETHER`; each number is as likely as any other. */
function pickTogether(total: number, wanted: number, random: () => number): readonly number[] {
  const blocks = Math.ceil(total / TOGETHER);
  const missing = blocks * TOGETHER - total;
  const places = pickDistinct(blocks, Math.min(blocks, Math.ceil((wanted + missing) / TOGETHER)), random);
  const inPlaces = places.flatMap((place) => Array.from({ length: TOGETHER }, (_, at) => place * TOGETHER + at));
  const picked = inPlaces.filter((number) => number < total).slice(0, wanted);
  // Where the stretches begin differs from run to run, so that no number is always cut off.
  const shift = Math.floor(random() * total);
  return picked.map((number) => (number + shift) % total).toSorted((a, b) => a - b);
}

/** Ascending distinct numbers below `total` (Floyd's sampling: no tries wasted however large the share). */
export function pickDistinct(total: number, wanted: number, random: () => number): readonly number[] {
  const picked = new Set<number>();
  for (let last = total - wanted; last < total; last += 1) {
    const candidate = Math.min(last, Math.floor(random() * (last + 1)));
    picked.add(picked.has(candidate) ? last : candidate);
  }
  return [...picked].toSorted((a, b) => a - b);
}

import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';
import type { DiskPlan } from './changed-block-source.ts';
import { inOrder, type Step } from './read-ahead.ts';

/** A part of a disk that has been processed, by a process that died: it holds whatever the plan lists of segments `first` to `end` - 1. */
export interface DonePart {
  readonly part: number;
  readonly first: number;
  readonly end: number;
}

/** The parts that are there are not parts of this export: it cannot go on with them. */
export class OtherParts extends Error {
  constructor(found: string) {
    super(`What was processed before does not fit the disk's plan: ${found}.`);
  }
}

/**
 * What an export has to do besides what is done. It fills parts as it did the first time, so what lies between two done parts makes
 * as many parts as there are numbers between them. `done` ascends by part. Throws `OtherParts` where a step is done by half, or a
 * part lies before one that comes earlier.
 */
export function* notDone(plan: DiskPlan, most: number, done: readonly DonePart[]): Generator<Step> {
  const ahead = [...done];
  for (const step of inOrder(plan, most)) {
    const { first, count } = step.run;
    while (ahead[0] !== undefined && ahead[0].end <= first) ahead.shift();
    const next = ahead[0];
    if (next === undefined || first + count <= next.first) yield step;
    else if (first < next.first || first + count > next.end)
      throw new OtherParts(`part ${next.part} ends within a step`);
  }
}

/** Bytes of disk that were read for the done parts. */
export function doneBytes(plan: DiskPlan, done: readonly DonePart[]): number {
  const inside = (run: SegmentRun, { first, end }: DonePart) =>
    Math.max(0, Math.min(run.first + run.count, end) - Math.max(run.first, first));
  let [count, at] = [0, 0];
  for (const run of plan.data) {
    while ((done[at]?.end ?? Number.POSITIVE_INFINITY) <= run.first) at++;
    for (let next = at; (done[next]?.first ?? Number.POSITIVE_INFINITY) < run.first + run.count; next++)
      count += inside(run, done[next] ?? { part: 0, first: 0, end: 0 });
  }
  return count * SEGMENT_SIZE;
}

/** Throws `OtherParts` unless `found`, ascending, are the segments that the plan lists, all of them and no others. */
export async function checkCovered(plan: DiskPlan, found: AsyncIterable<SegmentRun>): Promise<void> {
  const wanted = inOrder(plan, Number.POSITIVE_INFINITY);
  let [at, left] = [0, 0];
  for await (const { first, count } of found) {
    for (let segment = first; segment < first + count; ) {
      if (left === 0) {
        const { done, value } = wanted.next();
        if (done) throw new OtherParts(`segment ${segment} is too much`);
        [at, left] = [value.run.first, value.run.count];
      }
      if (segment !== at) throw new OtherParts(`segment ${segment} is there, ${at} was to come`);
      const both = Math.min(left, first + count - segment);
      [segment, at, left] = [segment + both, at + both, left - both];
    }
  }
  if (left > 0 || wanted.next().done !== true) throw new OtherParts(`segment ${at} and what follows are missing`);
}

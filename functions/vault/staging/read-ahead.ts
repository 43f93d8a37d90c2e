import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';

/** What is done with a run of a disk's plan. */
export type Step = { readonly kind: 'data' | 'zero' | 'audit'; readonly run: SegmentRun };

/** A run of data as it was read. `bytes` is valid until the next result is asked for. */
export type ReadStep =
  | { readonly kind: 'data' | 'audit'; readonly run: SegmentRun; readonly bytes: Uint8Array }
  | { readonly kind: 'zero'; readonly run: SegmentRun };

/** Reads `length` bytes at `offset` into `into`. */
export type Read = (offset: number, length: number, into: Uint8Array) => Promise<void>;

/** Measured best for QEMU's NBD server: 2 MiB by 4 in flight; more of either buys nothing. */
const BATCH_SEGMENTS = 32;
const BATCHES_AHEAD = 4;

/** A plan's runs in disk order, those to be read in pieces of at most `most` segments. */
export function* inOrder({ data, zero, audit }: DiskRuns, most: number): Generator<Step> {
  const piece = Math.min(most, BATCH_SEGMENTS);
  const lists = [
    steps('data', data, piece),
    steps('zero', zero, Number.POSITIVE_INFINITY),
    steps('audit', audit, piece),
  ];
  const heads = lists.map((list) => ({ list, step: next(list) }));
  for (;;) {
    const [head] = heads.filter(({ step }) => step !== undefined).sort((a, b) => firstOf(a.step) - firstOf(b.step));
    if (head?.step === undefined) return;
    yield head.step;
    head.step = next(head.list);
  }
}

/** Lists of runs that ascend and are disjoint. */
export type DiskRuns = Readonly<Record<Step['kind'], readonly SegmentRun[]>>;

function next(list: Iterator<Step>): Step | undefined {
  const { done, value } = list.next();
  return done ? undefined : value;
}

function firstOf(step: Step | undefined): number {
  return step?.run.first ?? Number.POSITIVE_INFINITY;
}

function* steps(kind: Step['kind'], runs: readonly SegmentRun[], most: number): Generator<Step> {
  for (const { first, count } of runs) {
    for (let done = 0; done < count; done += most) {
      yield { kind, run: { first: first + done, count: Math.min(most, count - done) } };
    }
  }
}

/** Performs the steps in order, with reads running ahead into a fixed set of buffers: memory does not depend on the disk. */
export async function* readAhead(plan: Iterable<Step>, read: Read): AsyncGenerator<ReadStep> {
  const free = Array.from({ length: BATCHES_AHEAD + 1 }, () => Buffer.allocUnsafeSlow(BATCH_SEGMENTS * SEGMENT_SIZE));
  const waiting: Promise<{ batch: ReadStep[]; buffer: Buffer<ArrayBuffer> }>[] = [];
  const batches = inBatches(plan)[Symbol.iterator]();
  for (;;) {
    for (let buffer = free.at(-1); waiting.length < BATCHES_AHEAD && buffer !== undefined; buffer = free.at(-1)) {
      const next = batches.next();
      if (next.done === true) break;
      free.pop();
      const reading = readBatch(next.value, read, buffer);
      // Looked at in order below; until then a failure further ahead must not count as unhandled.
      reading.catch(() => undefined);
      waiting.push(reading);
    }
    const done = await waiting.shift();
    if (done === undefined) return;
    yield* done.batch;
    free.push(done.buffer);
  }
}

async function readBatch(
  batch: readonly Step[],
  read: Read,
  buffer: Buffer<ArrayBuffer>,
): Promise<{ batch: ReadStep[]; buffer: Buffer<ArrayBuffer> }> {
  const reads: Promise<void>[] = [];
  const result: ReadStep[] = [];
  let at = 0;
  for (const { kind, run } of batch) {
    if (kind === 'zero') {
      result.push({ kind, run });
      continue;
    }
    const length = run.count * SEGMENT_SIZE;
    const bytes = buffer.subarray(at, at + length);
    at += length;
    reads.push(read(run.first * SEGMENT_SIZE, length, bytes));
    result.push({ kind, run, bytes });
  }
  await Promise.all(reads);
  return { batch: result, buffer };
}

/** Small runs are read together, so that a scattered incremental keeps as much in flight as a full one. */
function* inBatches(plan: Iterable<Step>): Generator<Step[]> {
  let batch: Step[] = [];
  let segments = 0;
  for (const step of plan) {
    const more = step.kind === 'zero' ? 0 : step.run.count;
    if (segments + more > BATCH_SEGMENTS || batch.length >= 4 * BATCH_SEGMENTS) {
      yield batch;
      batch = [];
      segments = 0;
    }
    batch.push(step);
    segments += more;
  }
  if (batch.length > 0) yield batch;
}

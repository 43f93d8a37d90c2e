import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { isZero } from '#vault/dedupe/segment-id.ts';
import { FRAME_SIZE } from '#vault/words.ts';
import { segmentsIn, slicesOf } from './slices.ts';

/**
 * The least that any program has to do to the bytes of an image, and nothing else: two threads that seal, open, digest, compress and
 * encrypt what lies in memory. As a program it prints what that took, without the time for reading: `bare-loop.ts IMAGE`.
 */

/** What the loop took. */
export interface BareLoop {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** What a worker is told: take frames of the first `frames` until none is left. */
export interface Round {
  readonly frames: number;
}

export interface LoopMemory {
  readonly frames: SharedArrayBuffer;
  /** One number: the frame to take next. */
  readonly next: SharedArrayBuffer;
}

const WORKERS = 2;
const FRAMES_IN_MEMORY = 256;

async function runBareLoop(path: string): Promise<BareLoop> {
  const memory: LoopMemory = {
    frames: new SharedArrayBuffer(FRAMES_IN_MEMORY * FRAME_SIZE),
    next: new SharedArrayBuffer(4),
  };
  const workers = await startWorkers(memory);
  let [milliseconds, cpuMicroseconds] = [0, 0];
  for await (const frames of fillMemory(path, Buffer.from(memory.frames))) {
    Atomics.store(new Int32Array(memory.next), 0, 0);
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    await Promise.all(workers.map((worker) => ask(worker, { frames })));
    milliseconds += performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    cpuMicroseconds += user + system;
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { seconds: milliseconds / 1000, cpuSeconds: cpuMicroseconds / 1e6 };
}

async function startWorkers(workerData: LoopMemory): Promise<Worker[]> {
  const program = join(import.meta.dirname, 'bare-loop-worker.ts');
  const workers = Array.from({ length: WORKERS }, () => new Worker(program, { workerData }));
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  // Loading its code is no part of the loop.
  await Promise.all(workers.map((worker) => ask(worker, { frames: 0 })));
  return workers;
}

function ask(worker: Worker, round: Round): Promise<unknown> {
  worker.postMessage(round);
  return once(worker, 'message');
}

/** Fills the memory with the image's segments that are not zero, again and again; yields how many frames that is, to the nearest. */
async function* fillMemory(path: string, memory: Buffer): AsyncGenerator<number> {
  let filled = 0;
  for await (const slice of slicesOf(path)) {
    for (const segment of segmentsIn(slice)) if (!isZero(segment)) filled += segment.copy(memory, filled);
    if (filled + slice.length <= memory.length) continue;
    yield Math.round(filled / FRAME_SIZE);
    filled = 0;
  }
  if (filled > 0) yield Math.round(filled / FRAME_SIZE);
}

const [path] = process.argv.slice(2);
if (import.meta.main && path !== undefined) console.log(JSON.stringify(await runBareLoop(path)));

import { parentPort, type Transferable, Worker } from 'node:worker_threads';
import { codeOf, EkkoError, type ErrorCode } from '../errors.ts';

/** Work for threads: each job is plain data, and so is its result. */
export interface ThreadedWork<Job, Result> {
  /** The module that calls `serveJobs`. */
  readonly entry: URL;
  readonly threads: number;
  /** Jobs that one thread has at a time: with two, one can compute while the other waits. */
  readonly jobsPerThread: number;
  /** What the entry finds as `workerData`. It may hold keys: it stays in memory. */
  readonly data: unknown;
  readonly jobs: AsyncGenerator<Job> | Generator<Job>;
  readonly onResult: (result: Result, job: Job) => void;
  /** Ends the work early: rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

interface Failure {
  readonly code: ErrorCode | undefined;
  readonly message: string;
}
type Reply<Result> = { readonly result: Result } | { readonly failure: Failure };

/** Does all jobs in threads. The first failure ends the rest, and is thrown with its code. */
export async function runInThreads<Job, Result>(work: ThreadedWork<Job, Result>): Promise<void> {
  const workers: Worker[] = [];
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(work.signal?.reason);
  work.signal?.throwIfAborted();
  work.signal?.addEventListener('abort', stop, { once: true });
  try {
    for (let i = 0; i < work.threads; i++) workers.push(new Worker(work.entry, { workerData: work.data }));
    const done = Promise.all(workers.map((worker) => feed(worker, work)));
    await Promise.race([done, stopped.promise]);
  } finally {
    work.signal?.removeEventListener('abort', stop);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** In a worker thread: does each job that comes, several at once, and sends back its result; `given` of it goes over instead of being copied. */
export function serveJobs<Job, Result>(
  handle: (job: Job) => Promise<Result>,
  given: (result: Result) => Transferable[] = () => [],
): void {
  const port = parentPort;
  if (port === null) throw new EkkoError('bad-input', 'This module runs in a worker thread only.');
  port.on('message', ({ id, job }: { id: number; job: Job }) => {
    handle(job).then(
      (result) => port.postMessage({ id, result }, given(result)),
      (error: unknown) => port.postMessage({ id, failure: failureOf(error) }),
    );
  });
}

/** Keeps a thread supplied until the jobs are used up and answered. */
async function feed<Job, Result>(
  worker: Worker,
  { jobs, jobsPerThread, onResult }: ThreadedWork<Job, Result>,
): Promise<void> {
  const waiting = new Map<number, PromiseWithResolvers<Reply<Result>>>();
  let broken: Error | undefined;
  // Replies are not raced with one promise for the thread's end: that would keep every reply for as long as the thread lives.
  const end = (error: Error) => {
    broken ??= error;
    for (const { reject } of waiting.values()) reject(error);
  };
  worker.on('error', end);
  worker.on('exit', () => end(new Error('A worker thread ended before its work did.')));
  worker.on('message', ({ id, ...reply }: Reply<Result> & { id: number }) => waiting.get(id)?.resolve(reply));
  let next = 0;
  const lane = async () => {
    for (let turn = await jobs.next(); !turn.done; turn = await jobs.next()) {
      if (broken !== undefined) throw broken;
      const id = next++;
      const reply = Promise.withResolvers<Reply<Result>>();
      waiting.set(id, reply);
      worker.postMessage({ id, job: turn.value });
      onResult(resultOf(await reply.promise), turn.value);
      waiting.delete(id);
    }
  };
  await Promise.all(Array.from({ length: jobsPerThread }, lane));
}

function failureOf(error: unknown): Failure {
  return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
}

function resultOf<Result>(reply: Reply<Result>): Result {
  if ('result' in reply) return reply.result;
  const { code, message } = reply.failure;
  throw code === undefined ? new Error(message) : new EkkoError(code, message);
}

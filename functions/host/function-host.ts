import { setEnvironmentData, Worker } from 'node:worker_threads';
import { EkkoError } from '#vault/errors.ts';
import type { SharedStaging } from '#vault/store/shared-staging.ts';
import { PRIVATE_KEY, SHARED_STAGING } from '../rim/inherited-data.ts';
import { type Answer, failureError, type Invocation, type WorkerSettings } from './invocation.ts';

/** Runs function bundles in worker threads of this process: nothing to install, nothing to start. */
export interface FunctionHost {
  /** Calls a function once a worker has room. Rejects with an EkkoError of the function's code, `function-failed` when its worker died. */
  invoke(name: string, event: unknown): Promise<unknown>;
  /** Starts workers ahead of their work, until so many have started: they load their code and open the vault meanwhile. */
  start(workers: number): void;
  /** Ends all workers; calls under way fail. */
  close(): Promise<void>;
}

export interface HostSettings {
  /** One a core. */
  readonly workers: number;
  /** Calls that one worker has under way at once: one computes while another waits for the store. */
  readonly callsPerWorker: number;
  /** Path of the function-worker bundle. */
  readonly workerPath: string;
  readonly bundles: WorkerSettings['bundles'];
  /** The functions' environment: their settings, by name. */
  readonly environment: Readonly<Record<string, string>>;
  /** The vault's key, 32 bytes, where it lies in no file: it goes to the workers in memory. Secret. */
  readonly privateKey?: Uint8Array;
  /** Memory for staged parts that this process and the workers share, if they do. */
  readonly staging?: SharedStaging;
  /** Lines that functions log, if anybody wants them. */
  readonly log?: (line: string) => void;
}

interface Slot {
  /** Started by the first call. */
  worker: Worker | undefined;
  readonly calls: Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>;
}

/** A worker starts when a call finds the others busy: a small backup pays for one. */
export function openFunctionHost(settings: HostSettings): FunctionHost {
  const slots: Slot[] = Array.from({ length: settings.workers }, newSlot);
  const waiting: (() => void)[] = [];
  let nextId = 0;
  let closed = false;

  /** Of the slots with room one that has started, and of those the least busy; a new one when all that have started are busy. */
  const freeSlot = () => {
    const free = slots.filter((slot) => slot.calls.size < settings.callsPerWorker);
    const idle = free.find((slot) => slot.worker !== undefined && slot.calls.size === 0);
    return (
      idle ?? free.find((slot) => slot.worker === undefined) ?? free.sort((a, b) => a.calls.size - b.calls.size)[0]
    );
  };
  const call = (slot: Slot, name: string, event: unknown) => {
    const invocation: Invocation = { id: nextId++, name, event };
    return new Promise((resolve, reject) => {
      slot.calls.set(invocation.id, { resolve, reject });
      slot.worker ??= startWorker(settings, slot);
      slot.worker.postMessage(invocation);
    }).finally(() => {
      slot.calls.delete(invocation.id);
      waiting.shift()?.();
    });
  };

  return {
    async invoke(name, event) {
      for (;;) {
        if (closed) throw new EkkoError('function-failed', `The function host was closed before ${name} could run.`);
        const slot = freeSlot();
        if (slot) return await call(slot, name, event);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    start(workers) {
      for (const slot of closed ? [] : slots.slice(0, workers)) slot.worker ??= startWorker(settings, slot);
    },
    async close() {
      closed = true;
      for (const wake of waiting.splice(0)) wake();
      await Promise.all(slots.map((slot) => slot.worker?.terminate()));
    },
  };
}

function newSlot(): Slot {
  return { worker: undefined, calls: new Map() };
}

function startWorker(settings: HostSettings, slot: Slot): Worker {
  const { bundles, environment, workerPath, log, staging, privateKey } = settings;
  const data: WorkerSettings = { bundles };
  const options = { workerData: data, env: { ...environment }, stdout: true, stderr: true };
  const worker = inheriting(
    { [SHARED_STAGING]: staging, [PRIVATE_KEY]: privateKey },
    () => new Worker(workerPath, options),
  );
  for (const stream of [worker.stdout, worker.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => log?.(text.trimEnd()));
  }
  worker.on('message', ({ id, result, failure }: Answer) => {
    const call = slot.calls.get(id);
    if (failure) call?.reject(failureError(failure));
    else call?.resolve(result);
  });
  const died = (cause: unknown) => {
    // The next call starts another one.
    if (slot.worker === worker) slot.worker = undefined;
    failAll(slot.calls, new EkkoError('function-failed', `A function worker died: ${String(cause)}.`, { cause }));
  };
  worker.on('error', died);
  worker.on('exit', (code) => died(`it ended with code ${code}`));
  worker.unref();
  return worker;
}

/** Threads that `start` starts have `data` from their first line on, where the bundles look for it; threads of other hosts have not. */
function inheriting<T>(data: Readonly<Record<string, unknown>>, start: () => T): T {
  const set = (value: (name: string) => unknown) => {
    for (const name of Object.keys(data))
      setEnvironmentData(name, value(name) as Parameters<typeof setEnvironmentData>[1]);
  };
  set((name) => data[name]);
  try {
    return start();
  } finally {
    set(() => undefined);
  }
}

function failAll(calls: Slot['calls'], error: EkkoError): void {
  for (const { reject } of [...calls.values()]) reject(error);
}

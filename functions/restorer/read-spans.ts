import type { Manifest } from '#vault/format/manifest.ts';
import type { VaultReader } from '#vault/records.ts';
import { runInThreads } from '#vault/restore/job-threads.ts';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';
import type { DataSpan } from './data-spans.ts';
import { openSpanReader, type SpanJob, type SpanWork } from './span-reader.ts';

/** A disk's data, to be read in order. */
export interface SpanReading {
  readonly reader: VaultReader;
  readonly manifest: Manifest;
  readonly spans: Iterable<DataSpan>;
  /** Undefined: in the calling thread. */
  readonly threads: ReadThreads | undefined;
  readonly signal: AbortSignal;
}

export interface ReadThreads {
  readonly count: number;
  /** The worker module, `read-worker`. */
  readonly entry: URL;
  /** How threads open the vault, as it is now: rights are renewed while a disk is read. */
  readonly settings: () => ReaderSettings;
}

/** One computes while the other waits for the store. */
const SPANS_PER_THREAD = 2;
/** Spans that are read and not yet taken, beside those that threads are at. */
const SPANS_WAITING = 2;

/**
 * The data segments of each span, one behind the other, whole, in the order of the spans. So many spans are in memory, however slow the
 * taker is. Throws what reading throws, and the signal's reason.
 */
export function readSpans(reading: SpanReading): AsyncGenerator<Uint8Array> {
  return reading.threads === undefined ? readHere(reading) : readInThreads(reading, reading.threads);
}

async function* readHere({ reader, manifest, spans, signal }: SpanReading): AsyncGenerator<Uint8Array> {
  const read = openSpanReader(reader, manifest);
  for (const span of spans) {
    signal.throwIfAborted();
    yield await read(span);
  }
}

async function* readInThreads(
  { manifest, spans, signal }: SpanReading,
  { count, entry, settings }: ReadThreads,
): AsyncGenerator<Uint8Array> {
  const line = newLine(count * SPANS_PER_THREAD + SPANS_WAITING);
  const end = new AbortController();
  const working = runInThreads<NumberedJob, Uint8Array>({
    ...{ entry, threads: count, jobsPerThread: SPANS_PER_THREAD },
    data: { manifest } satisfies SpanWork,
    jobs: jobsOf(spans, settings, line.room),
    onResult: (bytes, { number }) => line.put(number, bytes),
    signal: AbortSignal.any([signal, end.signal]),
  });
  working.then(line.close, line.fail);
  try {
    for (let number = 0; ; number++) {
      const bytes = await line.take(number);
      if (bytes === undefined) return;
      yield bytes;
    }
  } finally {
    end.abort();
    await working.catch(() => undefined);
  }
}

type NumberedJob = SpanJob & { readonly number: number };

async function* jobsOf(
  spans: SpanReading['spans'],
  settings: () => ReaderSettings,
  room: (number: number) => Promise<void>,
): AsyncGenerator<NumberedJob> {
  let number = 0;
  for (const span of spans) {
    await room(number);
    yield { ...span, number, reader: settings() };
    number++;
  }
}

/** Puts what arrives in any order back into line; at most `length` are in it or on their way. */
function newLine(length: number) {
  const arrived = new Map<number, Uint8Array>();
  let taken = 0;
  let closed = false;
  let failure: { readonly error: unknown } | undefined;
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  return {
    async room(number: number): Promise<void> {
      while (number >= taken + length) await changed.promise;
    },
    put(number: number, bytes: Uint8Array): void {
      arrived.set(number, bytes);
      change();
    },
    close(): void {
      closed = true;
      change();
    },
    fail(error: unknown): void {
      failure = { error };
      change();
    },
    /** Undefined: there is no such number. */
    async take(number: number): Promise<Uint8Array | undefined> {
      for (;;) {
        if (failure !== undefined) throw failure.error;
        const bytes = arrived.get(number);
        if (bytes === undefined && closed) return undefined;
        if (bytes === undefined) await changed.promise;
        else {
          arrived.delete(number);
          taken = number + 1;
          change();
          return bytes;
        }
      }
    },
  };
}

import { workerData } from 'node:worker_threads';
import { serveJobs } from '#vault/restore/job-threads.ts';
import { openJobReader, type SpanWork } from './span-reader.ts';

/** Entry of a worker thread: `workerData` is a `SpanWork`, each job a `SpanJob`, each result the bytes, which this thread then has no more. */
serveJobs(openJobReader(workerData as SpanWork), (bytes) => [bytes.buffer]);

import { workerData } from 'node:worker_threads';
import { serveJobs } from '#vault/restore/job-threads.ts';
import type { SegmentRun } from '#vault/words.ts';
import { openSpanRestorer, type SpanWork } from './span-restorer.ts';

/** Entry of a worker thread: `workerData` is a `SpanWork`, each job a run of segments, each result a `CountedOutcome`. */
const restorer = openSpanRestorer(workerData as SpanWork);
serveJobs(async (run: SegmentRun) => (await restorer).restore(run));

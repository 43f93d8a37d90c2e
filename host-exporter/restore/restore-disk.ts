import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Manifest } from '#vault/format/manifest.ts';
import { readManifest, type VaultReader } from '#vault/records.ts';
import { runInThreads } from '#vault/restore/job-threads.ts';
import { readerSettings } from '#vault/restore/open-reader.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openTarget, prepareTarget } from '../restore-targets/open-target.ts';
import type { TargetRequest } from '../restore-targets/restore-target.ts';
import { refuseTarget } from '../restore-targets/target-failure.ts';
import { openLedger, type RestoreLedger, type RestoreProgress } from './restore-ledger.ts';
import { planRestore, type RestorePlan, type RestoreSpan } from './restore-plan.ts';
import type { UnreadableBytes } from './restore-span.ts';
import { ANEW, type Beginning, goingOn, type RestoreSubject, readState, removeState } from './restore-state.ts';
import { type CountedOutcome, openSpanRestorer, type SpanWork } from './span-restorer.ts';

export interface RestoreRequest {
  readonly reader: VaultReader;
  /** Id of the restore point. */
  readonly point: string;
  /** Name of the disk, and of its manifest in the point. */
  readonly disk: string;
  readonly manifest: string;
  readonly target: RestoreDestination;
  /** Where the spans are restored; undefined: in the calling thread. */
  readonly threads: RestoreThreads | undefined;
  /** Write what is intact, list what is not, instead of failing at the first damaged object. */
  readonly bestEffort: boolean;
  /** Go on with a restore that was cut off, if there is one. */
  readonly resume: boolean;
  /** Flush the target before the restore counts as done, and as it goes on. */
  readonly durable: boolean;
  readonly onProgress?: (progress: RestoreProgress) => void;
  /** Cuts the restore off; it can be resumed. */
  readonly signal?: AbortSignal;
}

export interface RestoreDestination extends Pick<TargetRequest, 'kind' | 'path'> {
  readonly overwrite: boolean;
}

export interface RestoreThreads {
  /** Default: one a core, at most four: memory grows with them, and disks and networks hardly keep up with more. */
  readonly count?: number;
  /** The worker module, `restore-worker`. */
  readonly entry: URL;
}

/** Bytes are the disk's unless told. What an earlier, resumed restore did is not in it, but for `unreadable`. */
export interface RestoreResult {
  readonly diskSize: number;
  readonly dataBytes: number;
  readonly zeroBytes: number;
  /** Requests to the store. */
  readonly requests: number;
  readonly seconds: number;
  /** Ascending. Empty unless best effort. */
  readonly unreadable: readonly UnreadableBytes[];
}

/** One computes while the other waits for the store or the target. */
const SPANS_PER_THREAD = 2;
const MOST_THREADS = 4;

/**
 * Restores one disk of a restore point, every segment checked. Throws `target-failed` (see the targets; or a restore was begun there),
 * `object-missing`, `damaged`, `bad-format`, `wrong-key`, `store-failed` naming the object and the disk's bytes. What was written by then
 * stays, with a state file beside it, and can be resumed.
 */
export async function restoreDisk(request: RestoreRequest): Promise<RestoreResult> {
  const began = performance.now();
  const counted = openCountedStore(request.reader.store);
  const reader = { ...request.reader, store: counted };
  const manifest = await readManifest(reader, request.manifest);
  const plan = await planRestore(reader, manifest);
  const { prepared, ledger, target } = await openDestination(request, manifest, plan);
  try {
    await restoreSpans(request, { manifest, target: prepared.handle }, ledger);
    await ledger.save();
    await target.close();
    await prepared.finish();
    await removeState(prepared.handle.path);
  } catch (error) {
    // Resuming then loses nothing. Where this fails too, the state of a moment ago serves.
    await ledger.save().catch(() => undefined);
    await target.close().catch(() => undefined);
    await prepared.abandon();
    throw error;
  }
  const totals = ledger.totals();
  const seconds = (performance.now() - began) / 1000;
  return { diskSize: manifest.diskSize, ...totals, requests: totals.requests + counted.requests(), seconds };
}

async function openDestination(request: RestoreRequest, manifest: Manifest, plan: RestorePlan) {
  const { kind, overwrite } = request.target;
  const path = resolve(request.target.path);
  const { point, disk, durable, onProgress } = request;
  const subject = { point, disk, manifest: request.manifest, diskSize: manifest.diskSize, kind };
  const begun = await beginningOf(request, path, subject);
  const mode = begun.resumed ? 'resume' : overwrite || begun.ours ? 'overwrite' : 'new';
  const prepared = await prepareTarget({ kind, path, size: manifest.diskSize, point, mode });
  try {
    const target = await openTarget(prepared.handle);
    const ledger = openLedger({ path, subject, plan, begun, durable, target, onProgress });
    await ledger.save();
    return { prepared, target, ledger };
  } catch (error) {
    await prepared.abandon();
    throw error;
  }
}

/** What an earlier restore left to go on from. Throws `target-failed` when there is one that this request does not speak of. */
async function beginningOf(
  { resume, target }: RestoreRequest,
  path: string,
  subject: RestoreSubject,
): Promise<Beginning> {
  const state = await readState(path);
  if (state !== undefined && resume) return goingOn(path, state, subject);
  if (state === undefined || target.overwrite) return ANEW;
  throw refuseTarget(
    path,
    `holds part of a restore of ${state.point}/${state.disk} that was cut off`,
    'Resume it, or say that it may be overwritten.',
  );
}

async function restoreSpans(
  { reader, threads, bestEffort, signal }: RestoreRequest,
  work: Pick<SpanWork, 'manifest' | 'target'>,
  ledger: RestoreLedger,
): Promise<void> {
  const count = threads?.count ?? Math.min(availableParallelism(), MOST_THREADS);
  const shared = { ...work, bestEffort };
  if (threads === undefined) {
    return restoreHere({ ...shared, reader }, ledger, signal);
  }
  await runInThreads<RestoreSpan, CountedOutcome>({
    entry: threads.entry,
    threads: count,
    jobsPerThread: SPANS_PER_THREAD,
    data: { ...shared, reader: readerSettings(reader) } satisfies SpanWork,
    jobs: ledger.todo(),
    onResult: ledger.add,
    signal,
  });
}

async function restoreHere(work: SpanWork, ledger: RestoreLedger, signal: AbortSignal | undefined): Promise<void> {
  const restorer = await openSpanRestorer(work);
  try {
    for (const span of ledger.todo()) {
      signal?.throwIfAborted();
      ledger.add(await restorer.restore(span), span);
    }
  } finally {
    await restorer.close();
  }
}

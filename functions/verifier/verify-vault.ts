import { availableParallelism } from 'node:os';
import type { Keyring } from '#vault/keys/epoch-keys.ts';
import { runInThreads } from '#vault/restore/job-threads.ts';
import { readerSettings } from '#vault/restore/open-reader.ts';
import { CONTENT_NAMED, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { findAffected } from './affected-disks.ts';
import { checkObject, type ObjectCheck, type ObjectOutcome } from './check-object.ts';
import { type Inventory, takeInventory, type VerifiedPoint } from './inventory.ts';
import type { Problem } from './problem.ts';
import type { AffectedDisk, Finding, VerifyReport } from './report.ts';

export interface VerifyRequest {
  readonly store: ObjectStore;
  /** Undefined: only names are checked, as anybody could. */
  readonly keyring: Keyring | undefined;
  /** The restore points that must be whole; none are followed without a keyring. */
  readonly points: readonly VerifiedPoint[];
  /** Where objects are checked; undefined: in the calling thread. */
  readonly threads: VerifyThreads | undefined;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

export interface VerifyThreads {
  /** Default: one a core, at most four. */
  readonly count?: number;
  /** The worker module, `verify-worker`. */
  readonly entry: URL;
}

export type VerifyProgress = Pick<VerifyReport, 'objects' | 'bytes'>;

/** A thread reads one object while it hashes another. */
const OBJECTS_PER_THREAD = 2;
const MOST_THREADS = 4;

/**
 * Checks a vault's content-named objects, and with a key every restore point down to its last segment. What is wrong becomes a
 * finding; throws only where the vault cannot be looked at: `store-failed` from a listing, `bad-input`.
 */
export async function verifyVault(request: VerifyRequest): Promise<VerifyReport> {
  const began = performance.now();
  const { store, keyring } = request;
  const points = keyring === undefined ? [] : request.points;
  const inventory = keyring === undefined ? EMPTY : await takeInventory({ store, keyring }, points);
  const problems = new Map(inventory.problems);
  const sums = { objects: 0, bytes: 0, segments: 0 };
  await checkAll(request, inventory, (outcome, { key }) => {
    sums.objects++;
    sums.bytes += outcome.bytes;
    sums.segments += outcome.segments;
    if (outcome.problem && !problems.has(key)) problems.set(key, outcome.problem);
    request.onProgress?.({ objects: sums.objects, bytes: sums.bytes });
  });
  const affected =
    keyring === undefined || problems.size === 0 ? new Map() : await findAffected({ store, keyring }, points, problems);
  const findings = [...problems].map(([key, problem]) => finding(key, problem, affected.get(key) ?? [], keyring));
  findings.sort((a, b) => (a.object < b.object ? -1 : 1));
  return { ...sums, points: points.length, seconds: (performance.now() - began) / 1000, findings };
}

const EMPTY: Inventory = { packs: new Map(), problems: new Map() };

type OnOutcome = (outcome: ObjectOutcome, check: ObjectCheck) => void;

async function checkAll(request: VerifyRequest, inventory: Inventory, onResult: OnOutcome): Promise<void> {
  const { store, keyring, threads, signal } = request;
  const jobs = checksOf(store, inventory);
  if (threads === undefined) {
    for await (const check of jobs) {
      signal?.throwIfAborted();
      onResult(await checkObject(store, keyring, check), check);
    }
    return;
  }
  await runInThreads<ObjectCheck, ObjectOutcome>({
    entry: threads.entry,
    threads: threads.count ?? Math.min(availableParallelism(), MOST_THREADS),
    jobsPerThread: OBJECTS_PER_THREAD,
    data: readerSettings(keyring === undefined ? { store } : { store, keyring }),
    jobs,
    onResult,
    signal,
  });
}

/** Every object that is there, then every pack that is needed and was not. */
async function* checksOf(store: ObjectStore, { packs }: Inventory): AsyncGenerator<ObjectCheck> {
  const missing = new Set(packs.keys());
  for (const folder of CONTENT_NAMED) {
    for await (const { key, size } of store.list(folder)) {
      missing.delete(key);
      if (nameOf(key) !== undefined) yield { key, size, uses: packs.get(key) ?? [] };
    }
  }
  for (const key of missing) yield { key, size: undefined, uses: packs.get(key) ?? [] };
}

function finding(key: string, { code, message }: Problem, affects: readonly AffectedDisk[], keyring: unknown): Finding {
  return { object: key, problem: code, message, affects, advice: adviceFor(key, affects, keyring !== undefined) };
}

function adviceFor(key: string, affects: readonly AffectedDisk[], keyed: boolean): string {
  if (!keyed) return `Put ${key} back from a copy of the vault; verify with the key to learn which points need it.`;
  if (affects.length === 0) return 'No restore point needs it: nothing is lost.';
  const points = [...new Set(affects.map(({ point }) => point))].join(', ');
  return (
    `Put ${key} back from a copy of the vault. Where there is none, restore ${points} with best effort, ` +
    'which lists what is lost, and back up anew without a base.'
  );
}

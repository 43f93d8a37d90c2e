import { availableParallelism } from 'node:os';
import { SHARDS } from '#vault/journal/entries.ts';
import type { Keyring } from '#vault/keys/epoch-keys.ts';
import { knownMoves, type PackMoves } from '#vault/moves/pack-moves.ts';
import type { VaultReader } from '#vault/records.ts';
import { runInThreads } from '#vault/restore/job-threads.ts';
import { readerSettings } from '#vault/restore/open-reader.ts';
import { CONTENT_NAMED, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore, StoredObject } from '#vault/store/object-store.ts';
import { findAffected } from './affected-disks.ts';
import { checkObject, type ObjectCheck, type ObjectOutcome } from './check-object.ts';
import { ALL_SHARDS, shardOf } from './choose-shards.ts';
import type { AffectedByObject } from './costs-of-object.ts';
import { findEmptied } from './emptied-packs.ts';
import { findingOf } from './finding.ts';
import { type Inventory, takeInventory, type VerifiedPoint } from './inventory.ts';
import { newNeededPacks, usesAt } from './needed-packs.ts';
import type { Problem } from './problem.ts';
import type { VerifyReport } from './report.ts';

export interface VerifyRequest {
  readonly store: ObjectStore;
  /** Undefined: only names are checked, as anybody could. */
  readonly keyring: Keyring | undefined;
  /** The restore points that must be whole; none are followed without a keyring. */
  readonly points: readonly VerifiedPoint[];
  /** Those that can be brought back: what they alone need may be damaged, but is not taken for repaired. Default: none. */
  readonly expired?: readonly VerifiedPoint[];
  /** Tells which packs were moved; without a keyring there is none. Undefined with one: nothing was ever moved. */
  readonly journal: PackMoves | undefined;
  /** Only objects of these shards are read. Default: all. */
  readonly shards?: readonly number[];
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
  const { store, keyring, journal } = request;
  const reader = keyring === undefined ? undefined : { store, keyring, journal };
  const points = reader === undefined ? [] : request.points;
  const inventory = reader === undefined ? EMPTY : await takeInventory(reader, points);
  const problems = new Map(inventory.problems);
  const sums = { objects: 0, bytes: 0, segments: 0 };
  const add: OnOutcome = (outcome, { key }) => {
    sums.objects++;
    sums.bytes += outcome.bytes;
    sums.segments += outcome.segments;
    if (outcome.problem && !problems.has(key)) problems.set(key, outcome.problem);
    request.onProgress?.({ objects: sums.objects, bytes: sums.bytes });
  };
  await checkAll(request, inventory, add);
  if (reader !== undefined) await forgiveMoved({ ...reader, points }, inventory, problems, add);
  const emptied =
    reader === undefined ? [] : await findEmptied(reader, [...points, ...(request.expired ?? [])], problems);
  for (const { object } of emptied) problems.delete(object);
  const affected = reader === undefined || problems.size === 0 ? NOTHING : await findAffected(reader, points, problems);
  const findings = [...problems].map(([key, problem]) =>
    findingOf(key, problem, affected.get(key), keyring !== undefined),
  );
  findings.sort((a, b) => (a.object < b.object ? -1 : 1));
  const seconds = (performance.now() - began) / 1000;
  return { ...sums, points: points.length, seconds, damaged: findings.length, findings, emptied };
}

/** Packs that were moved and removed since the inventory are missing by right: their segments are checked where they lie now. */
async function forgiveMoved(
  reader: VaultReader & Pick<VerifyRequest, 'points'>,
  inventory: Inventory,
  problems: Map<string, Problem>,
  onResult: OnOutcome,
): Promise<void> {
  const missing = [...problems].flatMap(([key, { code }]) =>
    code === 'object-missing' && inventory.packs.find(key) >= 0 ? [key] : [],
  );
  if (missing.length === 0 || reader.journal === undefined) return;
  await reader.journal.refresh();
  const moved = knownMoves(reader);
  const gone = missing.filter((key) => moved.get(nameOf(key) ?? '') !== undefined);
  if (gone.length === 0) return;
  const { packs } = await takeInventory(reader, reader.points);
  for (const key of gone) if (packs.find(key) < 0) problems.delete(key);
  for (let pack = 0; pack < packs.size; pack++) {
    const key = packs.key(pack);
    if (inventory.packs.find(key) >= 0) continue;
    const check = { key, size: undefined, uses: packs.uses(pack) };
    onResult(await checkObject(reader.store, reader.keyring, check), check);
  }
}

const NOTHING: ReadonlyMap<string, AffectedByObject> = new Map();
const EMPTY: Inventory = { packs: newNeededPacks(), problems: new Map() };

type OnOutcome = (outcome: ObjectOutcome, check: ObjectCheck) => void;

async function checkAll(request: VerifyRequest, inventory: Inventory, onResult: OnOutcome): Promise<void> {
  const { store, keyring, threads, signal } = request;
  const jobs = checksOf(store, inventory, request.shards ?? ALL_SHARDS);
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
async function* checksOf(
  store: ObjectStore,
  { packs }: Inventory,
  shards: readonly number[],
): AsyncGenerator<ObjectCheck> {
  const wanted = new Set(shards);
  const met = new Uint8Array(packs.size);
  for await (const { key, size } of objectsOf(store, shards)) {
    const pack = packs.find(key);
    if (pack >= 0) met[pack] = 1;
    yield { key, size, uses: usesAt(packs, key) };
  }
  for (let pack = 0; pack < packs.size; pack++) {
    if (met[pack] === 1) continue;
    const key = packs.key(pack);
    if (wanted.has(shardOf(nameOf(key) ?? ''))) yield { key, size: undefined, uses: packs.uses(pack) };
  }
}

/** The content-named objects of these shards; a part of them is listed folder by folder, all of them at once. */
export async function* objectsOf(store: ObjectStore, shards: readonly number[]): AsyncGenerator<StoredObject> {
  for (const folder of CONTENT_NAMED) {
    const prefixes = shards.length === SHARDS ? [folder] : shards.map((shard) => `${folder}${shardText(shard)}/`);
    for (const prefix of prefixes) {
      for await (const object of store.list(prefix)) if (nameOf(object.key) !== undefined) yield object;
    }
  }
}

function shardText(shard: number): string {
  return shard.toString(16).padStart(2, '0');
}

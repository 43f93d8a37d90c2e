import { codeOf, EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { imageName, knownImage } from '#vault/images.ts';
import { newestPoint, sizeAt, startRun, ticketFor } from '#vault/runs.ts';
import type { ChangedBlockSource, FullReason, HeldMoment, SourceDisk } from '#vault/staging/changed-block-source.ts';
import { type DonePart, doneBytes } from '#vault/staging/done-parts.ts';
import { exportDisk, plannedBytes } from '#vault/staging/export-disk.ts';
import type { Vault } from '#vault/vault.ts';
import { openFileSource } from '../../host-exporter/changed-blocks/file-source.ts';
import type { FunctionHost } from '../host/function-host.ts';
import { openStagedParts } from '../host/staged-parts.ts';
import { giveUpDeadRuns, giveUpRun } from './give-up-run.ts';
import { releaseStaleHolds } from './holds/release-hold.ts';
import { unlessAborted } from './interruption.ts';
import { checkAllParts, findDoneParts, isFaultOfThePast, takeOverDeadRun } from './take-over.ts';
import { thisProcess } from './this-process.ts';

/** One backup on one machine: the exporter, the functions and the journal in this process. */
export interface BackupRequest {
  readonly vault: Vault;
  readonly host: FunctionHost;
  readonly source: ChangedBlockSource;
  readonly group: string;
  readonly quiesce: 'require' | 'prefer' | 'never';
  /** Why to read everything, or undefined to count from the bitmaps. */
  readonly readAll: FullReason | undefined;
  /** Share of clean segments to audit, 0-1. */
  readonly auditShare: number;
  /** Bytes of disk a second. */
  readonly bandwidth: number | undefined;
  readonly partSegments: number;
  /** See `ExportSettings`. */
  readonly memory?: () => Uint8Array;
  /** Parts that may be staged and not yet processed. */
  readonly partsWaiting: number;
  /** The same where all disks are read in place: see `ExportSettings.inPlace`. Undefined: none is. */
  readonly placedPartsWaiting?: number;
  /**
   * A digest of all that decides the parts, where the source's content never changes: a run of the same plan whose process died is gone on
   * with. Undefined: every backup begins anew.
   */
  readonly plan?: string;
  /** Keeps for the run what its group is built of; says whether there is anything. */
  readonly keepTopology?: (run: string) => Promise<boolean>;
  readonly watch: BackupWatch;
  /** Ends the backup cleanly, with its reason as the error; a commit that has begun is finished all the same. */
  readonly signal?: AbortSignal;
}

/** What whoever waits wants to see. Bytes are of disk. */
export interface BackupWatch {
  /** A backup of `group` begins to read: those of images that disks were built on come first. */
  planned(moment: HeldMoment, totalBytes: number, group: string): void;
  read(bytes: number): void;
  /** Everything is read and staged; functions finish, then the commit. */
  staged(): void;
  /** The bitmap audit failed: the backup begins again and reads everything. */
  distrusted(message: string): void;
  /** Something that the backup does without. */
  remark?(message: string): void;
}

/**
 * Takes one moment of all disks of the source and commits it as a restore point. When anything fails, the run is abandoned and
 * the bitmaps are as before: the next backup misses nothing. A failed bitmap audit begins again with a full read.
 * Throws `no-escrow` before anything is touched, and what the exporter, the functions and the commit throw.
 */
export async function runBackup(request: BackupRequest): Promise<RestorePoint> {
  try {
    return await backUpOnce(request);
  } catch (error) {
    if (codeOf(error) !== 'audit-failed' || request.readAll !== undefined) throw error;
    request.watch.distrusted(error instanceof Error ? error.message : String(error));
    return await backUpOnce({ ...request, readAll: 'bitmap-distrusted' });
  }
}

async function backUpOnce(request: BackupRequest): Promise<RestorePoint> {
  const { vault, source, group } = request;
  checkEscrow(await vault.journal.refresh());
  await storeImages(request);
  const before = request.plan === undefined ? undefined : await takeOverDeadRun(vault, group, request.plan);
  await giveUpDeadRuns(vault, group);
  await releaseStaleHolds(vault);
  const disks = await source.disks();
  if (disks.length === 0) throw new EkkoError('bad-input', 'There is no disk to back up.');
  request.signal?.throwIfAborted();
  const run = before ?? (await startRunFor(request, disks));
  try {
    return await backUpRun(request, { run, takenOver: before !== undefined });
  } catch (error) {
    if (canBeGoneOnWith(request, error)) throw error;
    await giveUpRun(vault, run, error instanceof Error ? error.message : String(error)).catch(() => undefined);
    if (before === undefined || !isFaultOfThePast(error)) throw error;
  }
  return backUpOnce(request);
}

/**
 * Sees to it that the images which the source's disks were built on are in the vault, each as a restore point of its own. Disks of one that
 * cannot be backed up are read in full.
 */
async function storeImages(request: BackupRequest): Promise<void> {
  const { vault, source, readAll, watch, signal } = request;
  if (readAll !== undefined || source.images === undefined) return;
  for (const { path, format, digest } of await source.images()) {
    if (knownImage(vault.journal.state(), digest) !== undefined) continue;
    const name = imageName(digest);
    const image = await openFileSource([{ path, format, name }]);
    try {
      await backUpOnce(imageRequest(request, image, name));
    } catch (error) {
      if (codeOf(error) === undefined || signal?.aborted) throw error;
      watch.remark?.(`Image ${path} could not be backed up by itself: ${error instanceof Error ? error.message : ''}`);
    } finally {
      await image.close();
    }
  }
}

function imageRequest(
  { vault, host, bandwidth, partSegments, memory, partsWaiting, placedPartsWaiting, watch, signal }: BackupRequest,
  source: ChangedBlockSource,
  group: string,
): BackupRequest {
  return {
    ...{ vault, host, source, group, quiesce: 'never', readAll: undefined, auditShare: 0 },
    ...{ bandwidth, partSegments, partsWaiting, watch },
    ...(memory === undefined ? {} : { memory }),
    ...(placedPartsWaiting === undefined ? {} : { placedPartsWaiting }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function startRunFor({ vault, group, plan }: BackupRequest, disks: readonly SourceDisk[]): Promise<string> {
  const planned = plan === undefined ? {} : { plan };
  const names = disks.map(({ name }) => name);
  return startRun(vault, { group, disks: names, ...thisProcess(), ...planned }, new Date());
}

/** What ends this process, and is no fault of the run. */
function canBeGoneOnWith({ plan, signal }: BackupRequest, error: unknown): boolean {
  return (
    plan !== undefined && (codeOf(error) === 'store-failed' || (signal?.aborted === true && error === signal.reason))
  );
}

/** `takenOver`: another process has begun it. */
interface BackupRun {
  readonly run: string;
  readonly takenOver: boolean;
}

async function backUpRun(request: BackupRequest, { run, takenOver }: BackupRun): Promise<RestorePoint> {
  const { vault, host, source } = request;
  const state = vault.journal.state();
  const moment = await source.take({
    run,
    known: (point, disk) => sizeAt(state, point, disk),
    newest: (disk) => newestPoint(state, disk)?.run,
    readAll: request.readAll,
    quiesce: request.quiesce,
    auditShare: request.auditShare,
    image: (digest) => knownImage(state, digest),
  });
  try {
    await unlessAborted(request.signal, exportAll(request, { run, takenOver }, moment));
    const topology = (await request.keepTopology?.(run)) ?? false;
    const point = (await host.invoke('point-committer', { run, ...(topology ? { topology } : {}) })) as RestorePoint;
    // The point stands, whatever becomes of the guest now; what is left in QEMU the next backup judges by the journal.
    await moment.end('committed').catch(() => undefined);
    return point;
  } catch (error) {
    await endAfterFailure(vault, run, moment);
    throw error;
  }
}

/** A commit whose answer was lost has happened all the same: only the journal knows, and the bitmaps must agree with it. */
async function endAfterFailure(vault: Vault, run: string, moment: HeldMoment): Promise<void> {
  const state = await vault.journal.refresh().catch(() => vault.journal.state());
  await moment.end(state.points.has(run) ? 'committed' : 'abandoned').catch(() => undefined);
}

async function exportAll(request: BackupRequest, { run, takenOver }: BackupRun, moment: HeldMoment): Promise<void> {
  const { vault, host, watch, group } = request;
  const done = takenOver ? await findAllDone(vault, run, moment) : [];
  const state = vault.journal.state();
  const placed = waitingPlaced(request, moment);
  const staged = openStagedParts(host, vault.store, placed ?? request.partsWaiting);
  watch.planned(
    moment,
    moment.plans.reduce((sum, plan, index) => sum + plannedBytes(plan) - doneBytes(plan, done[index] ?? []), 0),
    group,
  );
  const counts: number[] = [];
  for (const [index, { disk, base, baseDisk = disk.name }] of moment.plans.entries()) {
    const lineage =
      manifestAt(state, base, baseDisk) ?? manifestAt(state, newestPoint(state, disk.name)?.run, disk.name);
    const parts = await exportDisk(moment, index, ticketFor(vault, run, index), lineage, {
      staging: vault.store,
      notice: (key) => staged.notice(key),
      progress: (bytes) => watch.read(bytes),
      bandwidth: request.bandwidth,
      partSegments: request.partSegments,
      done: done[index] ?? [],
      inPlace: placed !== undefined,
      ...(request.memory === undefined ? {} : { memory: request.memory }),
    });
    counts.push(parts);
  }
  watch.staged();
  await staged.settle(run);
  if (!takenOver) return;
  for (const [index, plan] of moment.plans.entries()) await checkAllParts(vault, run, index, plan, counts[index] ?? 0);
}

/** How many parts may wait where all disks are read in place, undefined where they are not: a limit of bytes a second is kept by who reads. */
function waitingPlaced(
  { placedPartsWaiting, bandwidth, plan }: BackupRequest,
  { plans, place }: HeldMoment,
): number | undefined {
  if (bandwidth !== undefined || plan !== undefined) return undefined;
  return plans.every((_, index) => place?.(index)) ? placedPartsWaiting : undefined;
}

async function findAllDone(vault: Vault, run: string, { plans }: HeldMoment): Promise<DonePart[][]> {
  const done: DonePart[][] = [];
  for (const [index, plan] of plans.entries()) done.push(await findDoneParts(vault, run, index, plan));
  return done;
}

function manifestAt(
  state: ReturnType<Vault['journal']['state']>,
  point: string | undefined,
  disk: string,
): string | undefined {
  if (point === undefined) return undefined;
  return state.points.get(point)?.disks.find(({ name }) => name === disk)?.manifest;
}

function checkEscrow({ escrow }: { readonly escrow: string }): void {
  if (escrow !== 'missing') return;
  throw new EkkoError(
    'no-escrow',
    'The key of this vault exists only once. Confirm its escrow code first: `ekko escrow VAULT`.',
  );
}

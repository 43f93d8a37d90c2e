import pLimit, { type LimitFunction } from 'p-limit';
import { codeOf } from '#vault/errors.ts';
import { newLogger } from '../../rim/observability.ts';
import type { ActingCaller } from '../acting-caller.ts';
import type { Images } from '../cloud/images.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';
import { copyDisk } from './copy-disk.ts';
import type { OpenImageSource } from './disk-image-source.ts';
import { holdPoint, releasePoint } from './read-hold.ts';
import { isDone, Lost, withDisk } from './restore-changes.ts';
import type { RestoredDisk, RestoreEnd, RestoreRecord } from './restore-record.ts';

/** A restore that this process works on. */
export interface RestoreWork {
  readonly restore: string;
  /** Whose token is used. */
  readonly acting: ActingCaller;
  readonly tenant: TenantVault;
  /** Bytes that the images have by now, by disk. */
  readonly progress: Map<string, number>;
  readonly end: AbortController;
}

export interface WorkSettings {
  readonly images: Images;
  readonly openSource: OpenImageSource;
  /** Writes a change down. Throws `Lost`. */
  readonly change: (make: (record: RestoreRecord) => RestoreRecord) => Promise<RestoreRecord>;
  /** Milliseconds between two signs of life. */
  readonly beatMs: number;
  /** Of all restores of this process. */
  readonly limit: LimitFunction;
  readonly now: () => Date;
}

/** Of one restore at a time: others want their turn too. */
const DISKS_AT_ONCE = 2;

/** Makes all images that are not made yet. Throws where somebody else has to go on. */
export async function workOn(work: RestoreWork, settings: WorkSettings, record: RestoreRecord): Promise<void> {
  const { disks } = record;
  const { change, now, limit } = settings;
  const beat = setInterval(() => void showLife(work, settings), settings.beatMs);
  try {
    await keepHeld(work, record, now());
    const turns = pLimit(DISKS_AT_ONCE);
    const left = disks.filter(({ state }) => !isDone(state));
    const copies = await Promise.allSettled(
      left.map((disk) => turns(() => limit(() => copyOne(work, settings, disk)))),
    );
    for (const copy of copies) if (copy.status === 'rejected') throw copy.reason;
    await releasePoint(work.tenant.vault, work.restore, now());
    await change((record) => ({ ...withoutWorker(record), ended: endOf(record, now()) }));
  } catch (error) {
    await change(withoutWorker).catch(() => undefined);
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** It is held since it was begun, unless that ended badly. Where it cannot be, reading tells what is missing. */
async function keepHeld({ tenant, restore }: RestoreWork, { point }: RestoreRecord, now: Date): Promise<void> {
  try {
    await holdPoint(tenant.vault, restore, point, now);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

async function copyOne(work: RestoreWork, settings: WorkSettings, disk: RestoredDisk): Promise<void> {
  const { tenant, progress, end } = work;
  end.signal.throwIfAborted();
  const note = async (noted: Partial<RestoredDisk>) => {
    progress.delete(disk.name);
    await mine(work, () =>
      settings.change((record) => withDisk(record, disk.name, (known) => ({ ...known, ...noted }))),
    );
  };
  try {
    await copyDisk({
      ...{ disk, note, images: settings.images, signal: end.signal, acting: work.acting },
      open: () =>
        settings.openSource({ reader: tenant.vault, manifest: disk.manifest, settings: tenant.readerSettings }),
      progress: (bytes) => void progress.set(disk.name, bytes),
    });
  } catch (error) {
    end.signal.throwIfAborted();
    if (codeOf(error) !== undefined) throw error;
    // Again it would be the same: a fault of the program.
    newLogger('catalog').error('Restore failed', error instanceof Error ? error : new Error(String(error)));
    await note({ state: 'failed', bytesDone: 0, problem: 'The service failed; its log says why.' });
  }
}

/** Shows others that this process is at work, and how far; and sees whether it still should be. */
async function showLife(work: RestoreWork, { change }: WorkSettings): Promise<void> {
  const counts = new Map(work.progress);
  const counted = (disk: RestoredDisk) => ({ ...disk, bytesDone: counts.get(disk.name) ?? disk.bytesDone });
  // A registry that is away for a while does not end the work; another process may take it over then.
  await mine(work, () => change((record) => ({ ...record, disks: record.disks.map(counted) }))).catch(() => undefined);
}

/** What is another's is not worked on. */
async function mine(work: RestoreWork, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof Lost) work.end.abort(error);
    throw error;
  }
}

function endOf({ disks }: RestoreRecord, now: Date): RestoreEnd {
  const outcome = disks.some(({ state }) => state === 'failed') ? 'failed' : 'complete';
  return { outcome, at: now.toISOString() };
}

function withoutWorker({ worker: _gone, ...record }: RestoreRecord): RestoreRecord {
  return record;
}

import { codeOf } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { type Images, imagesAt } from '../cloud/images.ts';
import { updateRecord } from '../registry/update-record.ts';
import { withVault } from '../vaults/with-vault.ts';
import { releasePoint } from './read-hold.ts';
import { withDisk } from './restore-changes.ts';
import type { RestoredDisk, RestoreRecord } from './restore-record.ts';

/** Which images are removed: those that are not complete; also those that were to become volumes; all. */
export type RemovedImages = 'unfinished' | 'volumes' | 'all';

/**
 * Cancels a restore that has not ended, and removes images of it. Idempotent. An image that Glance keeps, because it is in use, is told with
 * its disk. Throws `cloud-failed`, `token-refused`, and what the registry throws.
 */
export async function endRestore(
  catalog: Catalog,
  caller: Caller,
  { restore }: RestoreRecord,
  wanted: RemovedImages,
): Promise<RestoreRecord> {
  const { registry, now } = catalog;
  let cancelled = false;
  const ended = await updateRecord(registry, 'restores', [caller.project, restore], (record) => {
    cancelled = record.ended === undefined;
    return cancelled ? { ...record, ended: { outcome: 'cancelled', at: now().toISOString() } } : record;
  });
  await catalog.restores.stop(caller, restore);
  if (cancelled) await release(catalog, caller, ended);
  const images = imagesAt(catalog.endpoints.glance);
  const changes = new Map<string, Partial<RestoredDisk>>();
  for (const disk of ended.disks)
    if (isWanted(disk, wanted)) changes.set(disk.name, await removed(images, caller, disk));
  return updateRecord(registry, 'restores', [caller.project, restore], (record) =>
    [...changes].reduce(
      (changed, [name, change]) => withDisk(changed, name, (disk) => ({ ...disk, ...change })),
      record,
    ),
  );
}

function isWanted({ image, state, becomes }: RestoredDisk, wanted: RemovedImages): boolean {
  if (image === undefined || state === 'removed') return false;
  return state !== 'complete' || wanted === 'all' || (wanted === 'volumes' && becomes === 'volume');
}

async function removed(images: Images, caller: Caller, disk: RestoredDisk): Promise<Partial<RestoredDisk>> {
  if (disk.image === undefined) return {};
  const gone = await images.remove(caller, disk.image);
  if (!gone) return { problem: `Glance keeps image ${disk.image}, which is in use.` };
  return disk.state === 'failed' ? {} : { state: 'removed', bytesDone: 0 };
}

/** A point that is held for too long does no harm: the restore has ended all the same. */
async function release(catalog: Catalog, caller: Caller, { vault, restore }: RestoreRecord): Promise<void> {
  try {
    await withVault(catalog, caller, vault, (tenant) => releasePoint(tenant.vault, restore, catalog.now()));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

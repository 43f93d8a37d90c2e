import { EkkoError } from '#vault/errors.ts';
import type { FullReason, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type DirtyBitmap, type GuestDisk, listGuestDisks } from '../qemu/guest-disks.ts';
import type { QmpClient } from '../qemu/qmp-client.ts';

/** Everything that the exporter makes within QEMU begins so; whatever begins so is the exporter's to remove. */
export const OWN_PREFIX = 'ekko-';

/** Where a disk's changes are counted from: a bitmap and its restore point, or why there is none. */
export type Parent =
  | { readonly bitmap: string; readonly point: string }
  | { readonly bitmap: undefined; readonly reason: FullReason };

const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The name of the bitmap that counts from restore point `run`. Throws `bad-input` when the id cannot be part of a name. */
export function bitmapName(run: string): string {
  if (!RUN_ID.test(run))
    throw new EkkoError('bad-input', `Run id "${run}" is not 1-128 letters, digits, ".", "_", "-"`);
  return OWN_PREFIX + run;
}

/** What decides from where a disk's changes can be counted. */
export type BitmapKeeper = Pick<GuestDisk, 'name' | 'size' | 'keepsBitmaps' | 'bitmaps'>;

/**
 * Whether a bitmap of ours records the disk's changes: then its next backup counts from there, and needs no image. If the vault knows nothing of
 * that bitmap after all, the disk is read in full.
 */
export function hasOwnBitmap({ bitmaps }: Pick<BitmapKeeper, 'bitmaps'>): boolean {
  return bitmaps.some(({ name, recording, inconsistent }) => name.startsWith(OWN_PREFIX) && recording && !inconsistent);
}

/** The newest usable bitmap of ours whose restore point the vault knows at the disk's present size. Never an error. */
export function chooseParent(disk: BitmapKeeper, request: MomentRequest): Parent {
  if (request.readAll !== undefined) return full(request.readAll);
  const newest = request.newest(disk.name);
  if (newest === undefined) return full('first-backup');
  if (!disk.keepsBitmaps) return full('no-bitmap-support');
  const own = disk.bitmaps.filter((bitmap) => bitmap.name.startsWith(OWN_PREFIX));
  const usable = own.filter((bitmap) => whyUnusable(bitmap, disk, request) === undefined);
  // Bitmaps that began earlier hold all that later ones hold: the least is the newest.
  const [best] = usable.toSorted((a, b) => a.count - b.count);
  if (best) return { bitmap: best.name, point: pointOf(best) };
  const asked = own.find((bitmap) => pointOf(bitmap) === newest) ?? own[0];
  return full((asked && whyUnusable(asked, disk, request)) ?? 'bitmap-missing');
}

function full(reason: FullReason): Parent {
  return { bitmap: undefined, reason };
}

function pointOf(bitmap: DirtyBitmap): string {
  return bitmap.name.slice(OWN_PREFIX.length);
}

function whyUnusable(bitmap: DirtyBitmap, disk: BitmapKeeper, request: MomentRequest): FullReason | undefined {
  const size = request.known(pointOf(bitmap), disk.name);
  if (size === undefined) return 'bitmap-parent-unknown';
  if (size !== disk.size) return 'disk-resized';
  if (bitmap.inconsistent) return 'bitmap-inconsistent';
  // A busy bitmap belongs to somebody's running operation: it cannot be copied, and recording may be off.
  if (!bitmap.recording || bitmap.busy) return 'bitmap-not-recording';
  return bitmap.granularity === SEGMENT_SIZE ? undefined : 'bitmap-wrong-granularity';
}

/**
 * Removes those of our bitmaps on `nodes` that `select` accepts by name, as they are now. One that is in use stays: a later commit finds
 * it again.
 */
export async function removeBitmaps(
  qmp: QmpClient,
  nodes: ReadonlySet<string>,
  select: (name: string) => boolean,
): Promise<void> {
  for (const { node, bitmaps } of await listGuestDisks(qmp)) {
    if (!nodes.has(node)) continue;
    const chosen = bitmaps.filter(({ name }) => name.startsWith(OWN_PREFIX) && select(name));
    for (const { name } of chosen) await removeBitmap(qmp, node, name);
  }
}

async function removeBitmap(qmp: QmpClient, node: string, name: string): Promise<void> {
  try {
    await qmp.execute('block-dirty-bitmap-remove', { node, name });
  } catch (error) {
    if (qmp.closed) throw error;
  }
}

import type { DiskPlan, FullReason, MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import { type NbdClient, openNbd } from '../qemu/nbd-client.ts';
import type { Parent } from './bitmaps.ts';
import type { ImageBase } from './image-base.ts';
import {
  ALLOCATION_CONTEXT,
  type AuditSettings,
  DEPTH_CONTEXT,
  planChanges,
  planFull,
  planOnImage,
} from './plan-disk.ts';

/** A disk at its moment, as QEMU shows it over NBD. */
export interface ExportedDisk {
  readonly disk: SourceDisk;
  readonly parent: Parent;
  readonly exportName: string;
  /** Set where the disk can be planned on the image that it was built on. */
  readonly image?: ExportedImage;
}

export interface ExportedImage {
  readonly base: ImageBase;
  /** Export that shows the disk's allocation depths, with `base.layers` images below its own node. */
  readonly exportName: string;
}

export interface ExportPlace {
  /** Unix socket of QEMU's NBD server. */
  readonly socketPath: string;
  /** The metadata context of what was written since the parent's moment, for disks that have a parent. */
  readonly dirtyContext: string;
}

/** Bounds of the bitmap audit, and its chance. */
export type AuditBounds = Pick<AuditSettings, 'random'> & { readonly mostAuditSegments: number };

/** Plans each disk, over one connection a disk that is kept in `clients` as soon as it is open. Throws `qemu-failed`. */
export async function planExported(
  disks: readonly ExportedDisk[],
  place: ExportPlace,
  request: MomentRequest,
  bounds: AuditBounds,
  clients: NbdClient[],
): Promise<readonly DiskPlan[]> {
  const audit = { share: request.auditShare, mostSegments: bounds.mostAuditSegments, random: bounds.random };
  const plans: DiskPlan[] = [];
  for (const one of disks) {
    const { socketPath } = place;
    const client = await openNbd({ socketPath, exportName: one.exportName, contexts: [ALLOCATION_CONTEXT] });
    clients.push(client);
    plans.push(await planOne(one, place, client, audit));
  }
  return plans;
}

async function planOne(
  { disk, parent, exportName, image }: ExportedDisk,
  { socketPath, dirtyContext }: ExportPlace,
  allocation: NbdClient,
  audit: AuditSettings,
): Promise<DiskPlan> {
  if (parent.bitmap === undefined) {
    if (image === undefined) return planFull(disk, allocation, parent.reason);
    return planOn(image, parent.reason, disk, socketPath, allocation, audit);
  }
  const changes = await openNbd({ socketPath, exportName, contexts: [dirtyContext] });
  try {
    return await planChanges(disk, parent.point, { allocation, changes, dirtyContext }, audit);
  } finally {
    await changes.close();
  }
}

async function planOn(
  { base, exportName }: ExportedImage,
  fullReason: FullReason,
  disk: SourceDisk,
  socketPath: string,
  allocation: NbdClient,
  audit: AuditSettings,
): Promise<DiskPlan> {
  const depths = await openNbd({ socketPath, exportName, contexts: [DEPTH_CONTEXT] });
  try {
    // The scratch image lies over the disk's own.
    return await planOnImage(disk, { fullReason, base, depth: base.layers + 1 }, { allocation, depths }, audit);
  } finally {
    await depths.close();
  }
}

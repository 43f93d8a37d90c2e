import type { MeasuredImage, MeasuredImages } from '../changed-blocks/measured-images.ts';
import type { DirtyBitmap } from '../qemu/guest-disks.ts';
import { baseOf } from '../qemu/image-layers.ts';
import { findDisks } from './domain-disks.ts';
import type { Virsh } from './virsh.ts';

/** The image that a local disk was built on. */
export interface ServerImage {
  /** Name of the disk. */
  readonly disk: string;
  /** Of the disk. */
  readonly bitmaps: readonly DirtyBitmap[];
  /** Reads its file unless that was done. Throws what `MeasuredImages` throws. */
  measure(): Promise<MeasuredImage>;
}

/** The images of a running server's local disks; none is read yet. Throws what asking libvirt throws. */
export async function findServerImages(
  virsh: Virsh,
  uuid: string,
  measured: MeasuredImages,
): Promise<readonly ServerImage[]> {
  const disks = await findDisks(virsh, uuid, undefined);
  return disks.flatMap(({ name, volume, layers, bitmaps }) => {
    const base = volume === undefined ? baseOf(layers) : undefined;
    if (base === undefined) return [];
    return [{ disk: name, bitmaps, measure: () => measured.measure(base.file, base.format) }];
  });
}

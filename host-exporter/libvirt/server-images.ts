import type { MeasuredImage, MeasuredImages } from '../changed-blocks/measured-images.ts';
import { baseOf } from '../qemu/image-layers.ts';
import { findDisks } from './domain-disks.ts';
import type { Virsh } from './virsh.ts';

/** The image that a local disk was built on, while its file is read or after. */
export interface ServerImage {
  /** Name of the disk. */
  readonly disk: string;
  readonly image: Promise<MeasuredImage>;
}

/** The images of a running server's local disks: those that were not read yet are being read from now on. Throws what asking libvirt throws. */
export async function findServerImages(
  virsh: Virsh,
  uuid: string,
  measured: MeasuredImages,
): Promise<readonly ServerImage[]> {
  const disks = await findDisks(virsh, uuid, undefined);
  return disks.flatMap(({ name, volume, layers }) => {
    const base = volume === undefined ? baseOf(layers) : undefined;
    if (base === undefined) return [];
    const image = measured.measure(base.file, base.format);
    // Not everybody waits for it.
    image.catch(() => undefined);
    return [{ disk: name, image }];
  });
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { BaseImage, FullReason, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { baseOf, type ImageLayer } from '../qemu/image-layers.ts';
import type { MeasuredImage, MeasuredImages } from './measured-images.ts';

/** The image that a disk is planned on: what the vault has of it, and where it lies in the chain. */
export interface ImageBase {
  /** The restore point that holds it, by run. */
  readonly point: string;
  /** Of its disk there. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Its file. */
  readonly file: string;
  /** Images of the disk's chain, the disk's own and this one counted. */
  readonly layers: number;
}

/** These say that what was assumed has proved wrong, or that somebody wants to see it all. */
const DOUBTS: ReadonlySet<FullReason> = new Set(['bitmap-distrusted', 'asked-for']);

/** Longer is no gain: what has to be read in place of the image is the image's content, too. Milliseconds. */
const LONGEST_READING = 20_000;

/**
 * The image on which a disk that has to be read in full can be planned; undefined: there is none, or the vault does not have it. `isRead`
 * says whether the file that was measured is the one that the disk's chain ends in.
 */
export async function chooseImage(
  measured: MeasuredImages,
  disk: { readonly size: number; readonly layers: readonly ImageLayer[] },
  reason: FullReason,
  request: MomentRequest,
  isRead: (image: MeasuredImage) => Promise<boolean>,
): Promise<ImageBase | undefined> {
  const base = baseOf(disk.layers);
  if (base === undefined || request.image === undefined || DOUBTS.has(reason)) return undefined;
  const image = await measuredNow(measured, base);
  const known = image && request.image(image.digest);
  if (!image || !known || known.size !== image.size || known.size > disk.size) return undefined;
  if (!(await isRead(image))) return undefined;
  return { point: known.point, name: known.name, size: known.size, file: base.file, layers: disk.layers.length };
}

/** Nova sets the times of images in use whenever it builds a server, since they were measured for this very run, too: then the image is read again. */
async function measuredNow(
  measured: MeasuredImages,
  { file, format }: { readonly file: string; readonly format: MeasuredImage['format'] },
): Promise<MeasuredImage | undefined> {
  const reading = measured.measure(file, format).catch(() => undefined);
  return Promise.race([reading, sleep(LONGEST_READING, undefined, { ref: false })]);
}

/** Whether a chain of one image more, the scratch image, ends in the image where it did. */
export function endsIn(layers: readonly ImageLayer[], image: ImageBase): boolean {
  return layers.length === image.layers + 1 && baseOf(layers)?.file === image.file;
}

/** The images that these chains end in, each once. One that cannot be read is left out: its disks are read in full. */
export async function measureBases(
  measured: MeasuredImages,
  chains: readonly (readonly ImageLayer[])[],
): Promise<readonly BaseImage[]> {
  const bases = new Map(chains.flatMap((chain) => baseOf(chain) ?? []).map((base) => [base.file, base]));
  const images: BaseImage[] = [];
  for (const { file, format } of bases.values()) {
    const image = await measured.measure(file, format).catch(() => undefined);
    if (image !== undefined) images.push(image);
  }
  return images;
}

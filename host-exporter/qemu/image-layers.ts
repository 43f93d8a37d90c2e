import { asObject, countOf, type JsonObject, memberOf, textOf } from './json-value.ts';

/** One image of the chain that a disk's content comes from. `size` in bytes. */
export interface ImageLayer {
  /** Path of the file, or what QEMU calls it otherwise. */
  readonly file: string;
  /** `qcow2`, `raw`, … */
  readonly format: string;
  readonly size: number;
}

/** Longer chains than this QEMU does not open either. */
const MOST_LAYERS = 256;
/** To look at a longer chain costs more than it saves. */
const MOST_FOR_BASE = 16;

/** The chain of an image, its own layer first, as QEMU tells of it (ImageInfo, `backing-image` within `backing-image`). Throws `qemu-failed`. */
export function layersOf(image: JsonObject, what: string): readonly ImageLayer[] {
  const layers: ImageLayer[] = [];
  for (let found: JsonObject | undefined = image; found !== undefined && layers.length < MOST_LAYERS; ) {
    layers.push({
      file: textOf(found, 'filename'),
      format: textOf(found, 'format'),
      size: countOf(found, 'virtual-size', what),
    });
    const below: unknown = memberOf(found, 'backing-image');
    found = below === undefined ? undefined : asObject(below, `an image of ${what}`);
  }
  return layers;
}

/** The file that a disk was built on: the last of its chain. Undefined where there is none, or it is none that could be read by its path. */
export function baseOf(layers: readonly ImageLayer[]): (ImageLayer & { readonly format: 'raw' | 'qcow2' }) | undefined {
  const base = layers.at(-1);
  if (layers.length > MOST_FOR_BASE) return undefined;
  const isPlain = layers.slice(0, -1).every(({ format }) => format === 'qcow2');
  if (base === undefined || layers.length < 2 || !isPlain || !base.file.startsWith('/')) return undefined;
  const { format } = base;
  return format === 'raw' || format === 'qcow2' ? { ...base, format } : undefined;
}

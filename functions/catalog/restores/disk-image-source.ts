import type { VaultReader } from '#vault/records.ts';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';

/** Opens a disk of a restore point as an image that is made as it is taken. Throws what reading a disk's map throws. */
export type OpenImageSource = (disk: DiskSource) => Promise<ImageSource>;

export interface DiskSource {
  readonly reader: VaultReader;
  /** Name of the disk's manifest. */
  readonly manifest: string;
  /** How other threads open the vault, with rights as they are now; undefined: they cannot. */
  readonly settings: (() => ReaderSettings) | undefined;
}

export interface ImageSource {
  /** Bytes that `content` gives. */
  readonly length: number;
  /** Throws what reading a disk throws, and the signal's reason. */
  content(signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

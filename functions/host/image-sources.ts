import { pathToFileURL } from 'node:url';
import type { VaultReader } from '#vault/records.ts';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';
import { type DiskImage, openDiskImage } from '../restorer/disk-image.ts';
import { bundlePath } from './bundles.ts';

/** A disk of a restore point. `settings`: how other threads open the vault, with rights as they are now; undefined: they cannot. */
export interface DiskSource {
  readonly reader: VaultReader;
  /** Name of the disk's manifest. */
  readonly manifest: string;
  readonly settings: (() => ReaderSettings) | undefined;
}

/** For each disk: how many disks are read at a time is the caller's to choose, and memory goes with both. */
const READ_THREADS = 2;

/** Opens disks as qcow2 images that are read by two threads each. */
export function openImageSources(): (disk: DiskSource) => Promise<DiskImage> {
  return ({ reader, manifest, settings }) => {
    const entry = pathToFileURL(bundlePath('read-worker'));
    const threads = settings === undefined ? undefined : { count: READ_THREADS, entry, settings };
    return openDiskImage({ reader, manifest, threads });
  };
}

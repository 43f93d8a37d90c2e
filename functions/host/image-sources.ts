import { pathToFileURL } from 'node:url';
import type { VaultReader } from '#vault/records.ts';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';
import { type DiskImage, openDiskImage } from '../restorer/disk-image.ts';
import { bundlePath } from './bundles.ts';

/** A disk of a restore point, and how threads open its vault with the rights of now; undefined: it is read in the calling thread. */
export interface StoredDisk {
  readonly reader: VaultReader;
  readonly manifest: string;
  readonly settings: (() => ReaderSettings) | undefined;
}

/** Opens disks as qcow2 images that are read by so many threads each. Throws what reading a disk's map throws. */
export function openImageSources(threads: number): (disk: StoredDisk) => Promise<DiskImage> {
  return ({ reader, manifest, settings }) => {
    const entry = pathToFileURL(bundlePath('read-worker'));
    return openDiskImage({
      ...{ reader, manifest },
      threads: settings === undefined ? undefined : { count: threads, entry, settings },
    });
  };
}

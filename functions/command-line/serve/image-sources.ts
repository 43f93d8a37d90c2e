import { pathToFileURL } from 'node:url';
import type { OpenImageSource } from '../../catalog/restores/disk-image-source.ts';
import { bundlePath } from '../../host/bundles.ts';
import { openDiskImage } from '../../restorer/disk-image.ts';

/** Opens disks as qcow2 images that are read by `workers` threads each. */
export function openImageSources(workers: number): OpenImageSource {
  return ({ reader, manifest, settings }) => {
    const entry = pathToFileURL(bundlePath('read-worker'));
    const threads = settings === undefined ? undefined : { count: workers, entry, settings };
    return openDiskImage({ reader, manifest, threads });
  };
}

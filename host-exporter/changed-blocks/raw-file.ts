import type { FileHandle } from 'node:fs/promises';
import type { MomentRequest } from '#vault/staging/changed-block-source.ts';
import { fileChanged } from '#vault/staging/placed-disk.ts';
import { subtract } from '#vault/staging/segment-runs.ts';
import { segmentsOf } from '#vault/words.ts';
import { measure, openDisk } from './find-file.ts';
import { type FoundFile, type HeldFile, reasonForFile } from './held-file.ts';
import { mapRawFile } from './hole-map.ts';
import { imageInUse, isWrittenByQemu } from './image-lock.ts';

/** A raw file or block device, read as it lies. Holes are listed as zero; where they cannot be found all is read. */
export async function holdRawFile(found: FoundFile, request: MomentRequest): Promise<HeldFile> {
  const { disk, path, checkedLater } = found;
  const handle = await openDisk(path);
  try {
    const { size, isDevice } = await measure(handle, path);
    if (size !== disk.size) throw fileChanged(path, `its size went from ${disk.size} to ${size} bytes`);
    if (await isWrittenByQemu(handle)) throw imageInUse(path, 'its lock for writing is held');
    const version = checkedLater ? undefined : await versionOf(handle);
    const all = [{ first: 0, count: segmentsOf(size) }];
    const mapped = await mapRawFile(path, size);
    const data = mapped ?? all;
    const fullReason = reasonForFile(disk, request);
    const plan = { disk, base: undefined, fullReason, data, zero: subtract(all, data), audit: [] };
    const read = (offset: number, length: number, into: Uint8Array) =>
      readUnchanged({ handle, path, version }, offset, length, into);
    // What has no holes may be zero for the most part: read here that is a line in a list, read in place it is parts.
    const place = { path, descriptor: handle.fd, size, version };
    return { plan, read, ...(isDevice || mapped === undefined ? {} : { place }), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  /** Undefined: of no matter. */
  readonly version: bigint | undefined;
}

/** Nothing holds a file still: a write during the export would mix two moments, so it is looked for after each read. */
async function readUnchanged(file: OpenFile, offset: number, length: number, into: Uint8Array): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.handle.read(into, done, length - done, offset + done);
    if (bytesRead === 0) throw fileChanged(file.path, `it ends at ${offset + done} bytes now`);
    done += bytesRead;
  }
  if (file.version === undefined) return;
  if ((await versionOf(file.handle)) !== file.version) throw fileChanged(file.path, 'it was written to');
}

/** Changes when a file is written to. Block devices do not tell. */
async function versionOf(handle: FileHandle): Promise<bigint> {
  return (await handle.stat({ bigint: true })).mtimeNs;
}

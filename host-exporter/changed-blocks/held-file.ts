import type { DiskPlan, MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import type { PlacedDisk } from '#vault/staging/placed-disk.ts';

/** A file or device to protect, found and probed. */
export interface FoundFile {
  readonly disk: SourceDisk;
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** As its `FileChoice` says. */
  readonly checkedLater: boolean;
}

/** One disk of a moment of files: its plan, and how to read it. Implementations: raw files and devices, qcow2 images. */
export interface HeldFile {
  readonly plan: DiskPlan;
  /** Reads within the disk. */
  read(offset: number, length: number, into: Uint8Array): Promise<void>;
  /** See `HeldMoment.place`. */
  readonly place?: PlacedDisk;
  close(): Promise<void>;
}

/** Files keep no bitmap that could be counted from: why everything is read. */
export function reasonForFile(disk: SourceDisk, request: MomentRequest) {
  return request.readAll ?? (request.newest(disk.name) === undefined ? 'first-backup' : 'no-bitmap-support');
}

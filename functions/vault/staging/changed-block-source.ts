import type { KnownImage } from '../images.ts';
import type { SegmentRun } from '../words.ts';
import type { PlacedDisk } from './placed-disk.ts';

/** A protected disk as its source sees it. `size` in bytes. */
export interface SourceDisk {
  /** Stable name of the disk within its group, e.g. `root`, `vda`, a volume id: decides lineage. 1-255 bytes, printable. */
  readonly name: string;
  readonly size: number;
  /** What the source calls it: a path, a node name. For people. */
  readonly origin: string;
}

/** Why every segment is read. `undefined` in a plan means: incremental. */
export type FullReason =
  | 'first-backup'
  | 'no-bitmap-support'
  | 'bitmap-missing'
  | 'bitmap-inconsistent'
  | 'bitmap-not-recording'
  | 'bitmap-wrong-granularity'
  | 'bitmap-parent-unknown'
  | 'disk-resized'
  | 'bitmap-distrusted'
  | 'no-common-point'
  | 'asked-for';

/** What one disk's export will read, known exactly before the first byte. Runs ascend, do not touch or overlap, and lie within the disk. */
export interface DiskPlan {
  readonly disk: SourceDisk;
  /** The restore point whose state the unlisted segments have; undefined: every segment is listed. */
  readonly base: string | undefined;
  /**
   * The disk of `base` whose state it is, where that is not this one: the image that the disk was built on, and zero behind its end. Then
   * what the disk itself holds is listed, and `fullReason` says why that and not less.
   */
  readonly baseDisk?: string;
  readonly fullReason: FullReason | undefined;
  /** Segments to read and stage. */
  readonly data: readonly SegmentRun[];
  /** Segments known to be all zero (holes, discarded): listed, never read. */
  readonly zero: readonly SegmentRun[];
  /** Clean segments to read all the same and compare with the base: the bitmap audit. Disjoint from `data` and `zero`. */
  readonly audit: readonly SegmentRun[];
  /** Set where the disk is a copy of what another vault holds: of what, and what is on record of its own moment. */
  readonly copied?: CopiedMoment;
}

/** The restore point of another vault that a disk is copied from, and how the disk's own moment was taken. */
export interface CopiedMoment {
  /** Id of the other vault. */
  readonly vault: string;
  readonly run: string;
  /** ISO time. */
  readonly takenAt: string;
  readonly consistency: Consistency;
  readonly consistencyNote: string;
  readonly frozenMs: number;
}

export type Consistency = 'application' | 'file-system' | 'crash';

/** One moment of all disks of a source, held still until `end`. */
export interface HeldMoment {
  readonly plans: readonly DiskPlan[];
  /** When the moment was taken. */
  readonly takenAt: Date;
  readonly consistency: Consistency;
  /** How the guest was made still, or why not, in words for people. */
  readonly consistencyNote: string;
  /** Milliseconds between the first freeze and the last thaw; 0 when nothing was frozen. */
  readonly frozenMs: number;
  /**
   * Reads `length` bytes at `offset` of disk `index` (of `plans`) into `into`, as they were at the moment. `offset` is a multiple of
   * SEGMENT_SIZE, `length` at most 2 MiB; bytes past the disk's end read as zeros. Calls may overlap (4 in flight is best).
   * Throws `qemu-failed`, `disk-unknown`, `bad-input`, and `busy` for a file that is written to meanwhile; `store-failed` never.
   */
  read(index: number, offset: number, length: number, into: Uint8Array): Promise<void>;
  /** Where disk `index` lies, if that is a file in which every thread of this process can read, until `end`, what `read` would give. */
  place?(index: number): PlacedDisk | undefined;
  /**
   * Ends the moment. `committed`: the run is the restore point from which the next run counts: the older bitmap goes.
   * `abandoned`: the run's own bitmap goes, the older one has recorded on. Idempotent; never loses a change.
   */
  end(outcome: 'committed' | 'abandoned'): Promise<void>;
}

/** Size in bytes that disk `disk` had at restore point `point`, or undefined when the vault has no such point or disk. */
export type KnownPoint = (point: string, disk: string) => number | undefined;

export interface MomentRequest {
  /** Id of the run; becomes the restore point's id, and names the new bitmaps (`ekko-<run>`). */
  readonly run: string;
  readonly known: KnownPoint;
  /** Newest restore point that holds disk `disk`, or undefined: tells a first backup from a lost bitmap. */
  readonly newest: (disk: string) => string | undefined;
  /** Why everything is to be read, or undefined to count from the bitmaps. */
  readonly readAll: FullReason | undefined;
  readonly quiesce: 'require' | 'prefer' | 'never';
  /** Share of clean segments to audit, 0-1. */
  readonly auditShare: number;
  /** The image of that digest, where the vault has it; without this none is known. */
  readonly image?: (digest: string) => KnownImage | undefined;
}

/** What disks of a source were built on: a file that nobody writes any more. */
export interface BaseImage {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** Of its content, in bytes. */
  readonly size: number;
  /** Of its content: see `newImageDigest`. */
  readonly digest: string;
}

/** Finds what changed. Implementations: QEMU by QMP; files and block devices; another vault. One conformance suite runs over all. */
export interface ChangedBlockSource {
  /** Disks that can be protected, found without touching the guest. */
  disks(): Promise<readonly SourceDisk[]>;
  /** The images that disks were built on, each once; files that have changed since they were last read are read. Without effect on the guest. */
  images?(): Promise<readonly BaseImage[]>;
  /** Cleans up what an exporter that died left behind (exports, jobs, nodes, a frozen guest), then takes one moment of all disks. */
  take(request: MomentRequest): Promise<HeldMoment>;
  close(): Promise<void>;
}

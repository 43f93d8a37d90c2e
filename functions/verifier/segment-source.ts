import type { SegmentRun } from '#vault/words.ts';

/** One segment as a source has it. */
export interface OfferedSegment {
  /** Number of the disk's segment. */
  readonly segment: number;
  /** SEGMENT_SIZE bytes, valid until the next one is asked for. */
  readonly bytes: Buffer;
}

/**
 * Something that holds what disks held: another vault with copies of restore points, or the disk itself. It is not believed: what it
 * gives is compared. Implementations: copies in a vault; files and block devices.
 */
export interface SegmentSource {
  /** For people. */
  readonly name: string;
  /**
   * Whether a key vouches that what it gives stood at just that place of that disk at that point. A disk that has been written to since
   * is no such source.
   */
  readonly vouched: boolean;
  /** What in the source holds that disk as of that restore point; undefined where nothing does. */
  offers(run: string, disk: string): string | undefined;
  /** Segments of what `offers` said, as far as they can be read. `runs` ascend. Throws what is no fault of its own. */
  read(volume: string, runs: readonly SegmentRun[], onFault: (message: string) => void): AsyncGenerator<OfferedSegment>;
  close(): Promise<void>;
}

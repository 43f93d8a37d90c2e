import type { PartHeader } from '../format/staged-part.ts';
import type { DiskPlan } from './changed-block-source.ts';

/** One disk on its way to the staging prefix. */
export interface DiskExport {
  readonly plan: DiskPlan;
  /** Segments of data in one part. */
  readonly most: number;
  /** What each part's header tells beside its runs. */
  readonly disk: Omit<PartHeader, 'runs'>;
  /** Stages the object of part `part`, and waits while whoever processes parts cannot keep up. */
  stage(part: number, pieces: readonly Uint8Array[]): Promise<void>;
  /** To be called with the bytes of disk that have been dealt with since the last call. */
  progress(bytes: number): void;
}

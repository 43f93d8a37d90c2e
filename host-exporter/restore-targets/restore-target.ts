/** Where a disk is restored to. Implementations: files and block devices; NBD exports (qcow2). One conformance suite. */
export interface RestoreTarget {
  /** Writes all of `bytes` at `offset`. Calls may overlap (several in flight). Throws `target-failed`. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes `[offset, offset + length)` read as zeros; costs nothing where the target is known to. Throws `target-failed`. */
  zero(offset: number, length: number): Promise<void>;
  /** Everything that was written, through whichever handle, is durable. Throws `target-failed`. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** How any thread opens a target that was prepared: plain data. */
export type TargetHandle = {
  /** For messages. */
  readonly path: string;
  /** Every byte that nobody wrote reads as zero. */
  readonly fresh: boolean;
} & ({ readonly kind: 'file' } | { readonly kind: 'nbd'; readonly socketPath: string; readonly exportName: string });

/** A target that is ready for its disk. */
export interface PreparedTarget {
  readonly handle: TargetHandle;
  /** All is written and flushed: leaves the target as whoever uses it expects it. Throws `target-failed`. */
  finish(): Promise<void>;
  /** Lets go of a target that is not finished; what was written stays, for a restore that goes on later. Never throws. */
  abandon(): Promise<void>;
}

export interface TargetRequest {
  /** `raw`: a sparse file. `qcow2`: an image that the next backup counts from. `device`: a block device. */
  readonly kind: 'raw' | 'qcow2' | 'device';
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Id of the restore point: names the bitmap in a qcow2 image. */
  readonly point: string;
  /** `new`: nothing may be there. `overwrite`: what is there is lost. `resume`: it is a restore of ours that was cut off. */
  readonly mode: 'new' | 'overwrite' | 'resume';
}

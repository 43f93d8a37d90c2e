import type { Consistency } from '#vault/staging/changed-block-source.ts';

/** How far a server is in a run. `failed` says why in `problem`. */
export type MemberState = 'prepared' | 'frozen' | 'checkpointed' | 'held' | 'exporting' | 'staged' | 'failed' | 'ended';

export interface DiskReport {
  readonly name: string;
  /** Bytes that the export reads: 0 until the moment is held. */
  readonly bytesTotal: number;
  readonly bytesDone: number;
  /** Of those, what was not sent because the vault has it. */
  readonly bytesKnown?: number;
  readonly fullReason?: string;
}

/** What `GET` of a member says. */
export interface MemberReport {
  readonly state: MemberState;
  readonly disks: readonly DiskReport[];
  readonly consistency?: Consistency;
  readonly consistencyNote?: string;
  readonly frozenMs?: number;
  /** ISO time of the moment. */
  readonly takenAt?: string;
  readonly problem?: { readonly code: string; readonly message: string };
  /** True where a failed export can be tried again from the same moment. */
  readonly retryable?: boolean;
}

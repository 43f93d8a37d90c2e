import type { EpochStarted, EscrowConfirmed, EscrowWaived, RecipientAdded, VaultCreated } from './key-entries.ts';

/**
 * What the journal can say. `at` and `takenAt` are ISO times: retention goes by them, and safety never does.
 * Names are those of content-named objects (SHA-256 in hex). Adding a type or a field makes older versions refuse the journal.
 */
export type JournalEntry =
  | VaultCreated
  | EscrowWaived
  | EscrowConfirmed
  | EpochStarted
  | RecipientAdded
  | RunStarted
  | RunTakenOver
  | RunAbandoned
  | PointCommitted
  | PointsExpired
  | PointsUndeleted
  | HoldPlaced
  | HoldReleased
  | RetentionSet
  | PacksMoved
  | Condemned
  | VaultVerified
  | ObjectsRepaired
  | LocksExtended;

export interface RunStarted {
  readonly type: 'run-started';
  readonly run: string;
  readonly group: string;
  /** By the disk's number in the run. */
  readonly disks: readonly string[];
  /** Where it runs, for people. */
  readonly host: string;
  /** Which process runs it, for whoever wants to know whether it still lives. */
  readonly process?: string;
  /**
   * A digest (SHA-256 in hex) of all that decides what its parts hold, where that is the same whoever exports them and whenever: then
   * another process may go on with it.
   */
  readonly plan?: string;
  readonly at: string;
}

/** Another process goes on with a run whose own is gone: it is the one that runs it from now on. */
export interface RunTakenOver {
  readonly type: 'run-taken-over';
  readonly run: string;
  readonly host: string;
  readonly process: string;
  readonly at: string;
}

/** The run can never commit. */
export interface RunAbandoned {
  readonly type: 'run-abandoned';
  readonly run: string;
  readonly reason: string;
  readonly at: string;
}

export interface PointCommitted {
  readonly type: 'point-committed';
  readonly run: string;
  readonly group: string;
  readonly point: string;
  readonly takenAt: string;
  readonly at: string;
  readonly disks: readonly CommittedDisk[];
  /** The restore point of another vault that this one is a copy of. */
  readonly copyOf?: CopiedPoint;
}

export interface CopiedPoint {
  /** Id of the vault. */
  readonly vault: string;
  readonly run: string;
}

export interface CommittedDisk {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly manifest: string;
}

/** The points are deleted, but nothing of them is gone: until they are condemned, `points-undeleted` brings them back. */
export interface PointsExpired {
  readonly type: 'points-expired';
  /** By run. */
  readonly points: readonly string[];
  /** Which rule or person wanted it. */
  readonly reason: string;
  readonly at: string;
}

export interface PointsUndeleted {
  readonly type: 'points-undeleted';
  /** By run. */
  readonly points: readonly string[];
  readonly at: string;
}

/**
 * Keeps points. A `legal` hold: they cannot expire until it is released. A `read` hold: somebody reads them, and they cannot be
 * condemned, though they may expire; a reader that died leaves it behind, for `hold-released` by whoever sees that.
 */
export interface HoldPlaced {
  readonly type: 'hold-placed';
  /** A name for the hold, unique among those that stand. */
  readonly hold: string;
  readonly kind: 'legal' | 'read';
  /** By run. */
  readonly points: readonly string[];
  readonly reason: string;
  /** Where and by which process it was placed. */
  readonly host: string;
  readonly process?: string;
  readonly at: string;
}

export interface HoldReleased {
  readonly type: 'hold-released';
  readonly hold: string;
  readonly at: string;
}

/** Which points of a group are kept; without a group, of every group that has no policy of its own. */
export interface RetentionSet {
  readonly type: 'retention-set';
  readonly group?: string;
  readonly policy: RetentionPolicy;
  /** Somebody saw what it deletes and agreed: it need not wait. */
  readonly confirmed: boolean;
  readonly at: string;
}

/**
 * How many of the newest points, and of the newest points of as many hours, days, … *that have points*, are kept; and all
 * that were taken within so many hours of the newest one. A point that any rule keeps is kept.
 */
export interface RetentionPolicy {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
  readonly withinHours?: number;
  /** IANA name, such as `Europe/Berlin`: where days begin. */
  readonly timeZone: string;
}

/** Segments that are still needed were copied out of sparse packs. From here on readers find them where the move says. */
export interface PacksMoved {
  readonly type: 'packs-moved';
  /** Name of the record in `moves/` that tells for each segment where it lies now. */
  readonly move: string;
  /** The packs that it empties. */
  readonly packs: readonly string[];
  readonly at: string;
}

/**
 * Names that no later entry may make live again: they may be gone from the store. Points must have expired. A page is condemned
 * no later than the packs and moves that it needs, a manifest no later than its pages, a point no later than its manifests.
 */
export interface Condemned {
  readonly type: 'condemned';
  readonly packs: readonly string[];
  readonly pages: readonly string[];
  readonly manifests: readonly string[];
  readonly points: readonly string[];
  readonly moves: readonly string[];
  readonly at: string;
}

/** Objects were read and judged. Every content-named object belongs to the shard that the first byte of its name says. */
export interface VaultVerified {
  readonly type: 'vault-verified';
  /** 0-255, ascending: shards of which every object was looked at. */
  readonly shards: readonly number[];
  /** With the key: every segment that a point needs was opened and compared with its id. */
  readonly keyed: boolean;
  readonly objects: number;
  readonly bytes: number;
  /** Names of objects that are missing or not what they should be. Nothing is deduped against them. */
  readonly damaged: readonly string[];
  readonly at: string;
}

/** Objects that were damaged are whole again. */
export interface ObjectsRepaired {
  readonly type: 'objects-repaired';
  readonly objects: readonly string[];
  readonly at: string;
}

/**
 * All that lasts in these shards, less what was condemned by then, is locked until then at least; what came later is for longer. The shard
 * of a journal entry is its position modulo 256, of `vault.json` 0, of all else the first byte of its name.
 */
export interface LocksExtended {
  readonly type: 'locks-extended';
  /** 0-255, ascending. */
  readonly shards: readonly number[];
  readonly until: string;
  readonly at: string;
}

export const MOST_DISKS = 1024;
/** Names in all lists of one entry: so many surely fit into `LARGEST_ENTRY`. */
export const MOST_NAMES = 15_000;
/** UTF-16 units. */
export const LONGEST_REASON = 1000;
/** Shards of a vault, by the first byte of a name. */
export const SHARDS = 256;

/** Makes any text, such as an error's message, fit the `reason` of an entry. */
export function reasonFrom(message: string): string {
  const line = message
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return line.slice(0, LONGEST_REASON).toWellFormed() || 'unknown';
}

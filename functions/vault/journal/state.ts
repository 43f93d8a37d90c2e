import { NO_DIGEST } from '../format/journal-entry.ts';
import type {
  HoldPlaced,
  PointCommitted,
  RetentionPolicy,
  RetentionSet,
  RunStarted,
  VaultVerified,
} from './entries.ts';
import type { NamedRecipient } from './key-entries.ts';

/**
 * What the journal says up to `position`: the fold over its entries. Never changed in place; whoever holds one may keep it.
 *
 * A run that is not in `openRuns` has ended, or never was: it can never commit. Nothing else is kept of ended runs.
 */
export interface VaultState {
  /** Position of the last entry; 0 in an empty journal. */
  readonly position: number;
  /** SHA-256 (hex) of the last entry's bytes; `NO_DIGEST` in an empty journal. */
  readonly digest: string;
  /** SHA-256 (hex) of `vault.json`; undefined in an empty journal. */
  readonly vaultJson: string | undefined;
  readonly escrow: EscrowState;
  /** The vault's key epochs, the one in force last: what stands behind its beginning is sealed under it. Empty in an empty journal. */
  readonly epochs: readonly BegunEpoch[];
  /** Who can open the epoch in force, by fingerprint. */
  readonly recipients: ReadonlyMap<string, VaultRecipient>;
  /** Who can open older epochs only, by fingerprint. */
  readonly removed: ReadonlyMap<string, RemovedRecipient>;
  /** By run, in the order in which they started. */
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  /** By run, in commit order; expired points are gone. */
  readonly points: ReadonlyMap<string, CommittedPoint>;
  /** By run, in the order in which they expired: deleted points of which everything is still there; condemned ones are gone. */
  readonly expired: ReadonlyMap<string, ExpiredPoint>;
  /** By the hold's name. */
  readonly holds: ReadonlyMap<string, Hold>;
  /** By group; the policy of all other groups is that of the group ``. */
  readonly retention: ReadonlyMap<string, SetRetention>;
  /** Packs that were emptied, by name, to the move that tells where their segments lie now. Condemned moves are gone. */
  readonly moved: ReadonlyMap<string, string>;
  /**
   * Names of packs, pages, manifests, points and moves that nothing may make live again, in the order in which they were condemned.
   * Those that nothing can make live again are forgotten: see `condemnedUnder`.
   */
  readonly condemned: ReadonlySet<string>;
  /** How many of `condemned`, in their order, were condemned under which key epoch; ascending. */
  readonly condemnedUnder: readonly CondemnedNames[];
  /** By shard (0-255): when all objects of it were last looked at. */
  readonly verified: ReadonlyMap<number, VerifiedShard>;
  /** Names of objects that a verification found damaged or missing, and nothing has repaired or condemned since. */
  readonly damaged: ReadonlySet<string>;
  /** By shard (0-255): until when all that lasts in it is locked at least. Nothing of shards whose locks were never extended. */
  readonly lockedUntil: ReadonlyMap<number, string>;
}

export type EscrowState = 'missing' | 'waived' | 'confirmed';
export type OpenRun = Omit<RunStarted, 'type'> & {
  /** Key epoch that was in force when it started. */
  readonly epoch: number;
};
export interface BegunEpoch {
  readonly epoch: number;
  /** Of the entry that began it. */
  readonly position: number;
  readonly at: string;
  /** Name of its key object; undefined for the first one, which stands in `vault.json`. */
  readonly key?: string;
}
export interface VaultRecipient extends NamedRecipient {
  /** When it was added, and the epoch that was in force then. */
  readonly since: string;
  readonly sinceEpoch: number;
  /** Name of the key object that holds the root key of the epoch in force, sealed to it; undefined: `vault.json` does. */
  readonly key?: string;
}
export interface RemovedRecipient extends VaultRecipient {
  readonly removedAt: string;
  /** The last epoch that it opens. */
  readonly lastEpoch: number;
}
export interface CondemnedNames {
  readonly epoch: number;
  readonly names: number;
}
export type CommittedPoint = Omit<PointCommitted, 'type'> & {
  /** Of its entry. */
  readonly position: number;
};
export interface ExpiredPoint extends CommittedPoint {
  readonly expiredAt: string;
  readonly expiredBecause: string;
}
export type Hold = Omit<HoldPlaced, 'type'>;
/** The policy that was set last, and the one that was in force then; without a `previous` there was none, and all was kept. */
export type SetRetention = Pick<RetentionSet, 'policy' | 'confirmed' | 'at'> & {
  readonly previous?: RetentionPolicy;
};
/** `keyed`: the last verification that had the key; `position` is that of its entry. */
export type VerifiedShard = Pick<VaultVerified, 'at' | 'keyed'> & { readonly position: number };

/** The group that stands for all that have no retention policy of their own. */
export const ANY_GROUP = '';

export const EMPTY_STATE: VaultState = {
  position: 0,
  digest: NO_DIGEST,
  vaultJson: undefined,
  escrow: 'missing',
  epochs: [],
  recipients: new Map(),
  removed: new Map(),
  openRuns: new Map(),
  points: new Map(),
  expired: new Map(),
  holds: new Map(),
  retention: new Map(),
  moved: new Map(),
  condemned: new Set(),
  condemnedUnder: [],
  verified: new Map(),
  damaged: new Set(),
  lockedUntil: new Map(),
};

/** The key epoch in force: the next entry is sealed under it. */
export function newestEpoch({ epochs }: Pick<VaultState, 'epochs'>): number {
  return epochs.at(-1)?.epoch ?? 1;
}

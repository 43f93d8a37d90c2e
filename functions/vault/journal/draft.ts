import type {
  BegunEpoch,
  CommittedPoint,
  CondemnedNames,
  EscrowState,
  ExpiredPoint,
  Hold,
  OpenRun,
  RemovedRecipient,
  SetRetention,
  VaultRecipient,
  VaultState,
  VerifiedShard,
} from './state.ts';

/** A state while entries are folded onto it: what they change. */
export interface Draft extends VaultState {
  position: number;
  digest: string;
  vaultJson: string | undefined;
  escrow: EscrowState;
  epochs: readonly BegunEpoch[];
  recipients: Map<string, VaultRecipient>;
  readonly removed: Map<string, RemovedRecipient>;
  readonly openRuns: Map<string, OpenRun>;
  points: Map<string, CommittedPoint>;
  readonly expired: Map<string, ExpiredPoint>;
  readonly holds: Map<string, Hold>;
  readonly retention: Map<string, SetRetention>;
  readonly moved: Map<string, string>;
  readonly condemned: Set<string>;
  condemnedUnder: readonly CondemnedNames[];
  readonly verified: Map<number, VerifiedShard>;
  readonly damaged: Set<string>;
  readonly lockedUntil: Map<number, string>;
}

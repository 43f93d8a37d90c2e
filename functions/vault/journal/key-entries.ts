import type { RecipientKind } from '../format/key-epoch.ts';

/** The first entry of every journal. */
export interface VaultCreated {
  readonly type: 'vault-created';
  /** SHA-256 of the bytes of `vault.json`, in hex. */
  readonly vaultJson: string;
  /** Who can open it. */
  readonly recipients: readonly NamedRecipient[];
  readonly at: string;
}

export interface NamedRecipient {
  /** Fingerprint of its public key. */
  readonly recipient: string;
  readonly kind: RecipientKind;
  /** What people call it. */
  readonly label?: string;
}

/** Somebody said aloud that this vault needs no escrow. */
export interface EscrowWaived {
  readonly type: 'escrow-waived';
  readonly at: string;
}

/** The key has a second recipient, or its printed code was typed back. */
export interface EscrowConfirmed {
  readonly type: 'escrow-confirmed';
  readonly recipient: string;
  readonly at: string;
}

/**
 * The vault's key was rotated: all entries behind this one, and all objects written from now on, are under the new epoch's keys.
 * The entry itself is the last one under the old ones.
 */
export interface EpochStarted {
  readonly type: 'epoch-started';
  /** One more than the one before. */
  readonly epoch: number;
  /** Name of the key object in `keys/` that holds its root key, sealed to the recipients. */
  readonly key: string;
  /** Who can open it, by fingerprint: those who could before, less those who are removed. */
  readonly recipients: readonly string[];
  readonly at: string;
}

/** Another key opens the vault from now on: the epoch in force and all before it. */
export interface RecipientAdded extends NamedRecipient {
  readonly type: 'recipient-added';
  /** Name of the key object in `keys/` that holds the root key of the epoch in force, sealed to it. */
  readonly key: string;
  readonly at: string;
}

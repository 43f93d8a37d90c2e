import { type KeyEpoch, sealSecrets } from '../format/key-epoch.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { fingerprintOf } from '../keys/identity.ts';
import { type Recipient, wrapRootKey } from '../keys/recipients.ts';

/** An epoch's root key and who shall open it. */
export interface SealedEpoch {
  readonly keys: EpochKeys;
  /** What `keys` are derived from. */
  readonly rootKey: Uint8Array;
  readonly recipients: readonly Recipient[];
  /** Root keys of all earlier epochs, oldest first. */
  readonly earlier: readonly Uint8Array[];
}

/** The epoch as it stands in `vault.json` or a key object: the root key sealed to each recipient. Throws `bad-input` for a public key that is none. */
export async function sealEpoch({ keys, rootKey, recipients, earlier }: SealedEpoch): Promise<KeyEpoch> {
  const context = { vault: keys.vault, epoch: keys.epoch };
  const publicKeys = new Map(recipients.map(({ publicKey }) => [fingerprintOf(publicKey), publicKey]));
  return {
    number: keys.epoch,
    wrapped: await Promise.all(recipients.map((recipient) => wrapRootKey(rootKey, recipient, context))),
    stagingPublicKey: keys.staging.publicKey.toString('base64'),
    secrets: sealSecrets(keys, { publicKeys, earlier }),
  };
}

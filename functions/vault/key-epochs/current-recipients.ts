import { EkkoError } from '../errors.ts';
import { isAuthentic } from '../format/epoch-description.ts';
import { type KeyEpoch, openSecrets } from '../format/key-epoch.ts';
import { newestEpoch, type VaultRecipient, type VaultState } from '../journal/state.ts';
import { fingerprintOf } from '../keys/identity.ts';
import type { Recipient } from '../keys/recipients.ts';
import { VAULT_JSON } from '../store/object-names.ts';
import type { Vault } from '../vault.ts';
import { readEpochObject } from './epoch-objects.ts';

/**
 * The recipients of the epoch in force with their public keys, as the key objects that the journal names seal them: what a new root
 * key is sealed to. Throws `object-missing`, `damaged` (a key object), `store-failed`.
 */
export async function currentRecipients(vault: Vault, state: VaultState): Promise<Recipient[]> {
  const recipients = [...state.recipients.values()];
  const sets = await Promise.all(
    [...new Set(recipients.map(({ key }) => key))].map(async (key) => [key, await openSet(vault, state, key)] as const),
  );
  const byKey = new Map(sets);
  return recipients.map((named) => fullRecipient(named, byKey.get(named.key)));
}

/** The epoch in a key object, or in `vault.json`, and its secrets. */
async function openSet(vault: Vault, state: VaultState, key: string | undefined) {
  const number = newestEpoch(state);
  const keys = vault.keyring.epoch(number, 'The journal');
  if (key === undefined) return openEpoch(vault, vault.description.epoch, VAULT_JSON);
  const object = await readEpochObject(vault.store, vault.id, number, key);
  if (isAuthentic(keys, object)) return openEpoch(vault, object.description.epoch, object.key);
  throw new EkkoError('damaged', `${object.key} is not what the journal says: put it back from a copy of the vault.`);
}

function openEpoch({ keyring, store }: Vault, epoch: KeyEpoch, key: string) {
  const keys = keyring.epoch(epoch.number, key);
  return { epoch, publicKeys: openSecrets(keys, epoch, `${key} in ${store.url}`).publicKeys };
}

function fullRecipient(
  { recipient, kind, label, since }: VaultRecipient,
  set: Awaited<ReturnType<typeof openSet>> | undefined,
): Recipient {
  const publicKey = set?.publicKeys.get(recipient);
  const wrapped = set?.epoch.wrapped.find((each) => each.recipient === recipient);
  if (publicKey === undefined || wrapped === undefined || fingerprintOf(publicKey) !== recipient) {
    throw new EkkoError(
      'damaged',
      `The public key of recipient ${recipient} is not where the journal says: a key object was changed.`,
    );
  }
  const { scrypt } = wrapped;
  return {
    ...{ kind, publicKey, since },
    ...(label === undefined ? {} : { label }),
    ...(scrypt === undefined ? {} : { scrypt }),
  };
}

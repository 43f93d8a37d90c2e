import { EkkoError } from '../errors.ts';
import { encodeEpochDescription } from '../format/epoch-description.ts';
import { newestEpoch, type VaultState } from '../journal/state.ts';
import { fingerprintOf } from '../keys/identity.ts';
import type { NewRecipient } from '../keys/recipients.ts';
import { contentName, epochKey } from '../store/object-names.ts';
import type { Vault } from '../vault.ts';
import { holderOf } from './holder.ts';
import { sealEpoch } from './seal-epoch.ts';

/** Rotations that come in between. */
const MOST_TRIES = 10;

/**
 * Lets another key open the vault: the epoch in force and, with it, all before. A crash before the journal's entry leaves a key
 * object that the new key can open the vault by, though it is not listed; add it again. Throws `bad-input` (a recipient already, no
 * X25519 key), `busy`, what appending throws.
 */
export async function addRecipient(vault: Vault, recipient: NewRecipient, now: Date): Promise<VaultState> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const added = await tryAdding(vault, recipient, now.toISOString());
    if (added !== undefined) return added;
  }
  throw new EkkoError('busy', 'The key was rotated again and again meanwhile. Try again later.');
}

/** Undefined when the key was rotated meanwhile. */
async function tryAdding(vault: Vault, recipient: NewRecipient, at: string): Promise<VaultState | undefined> {
  const state = await vault.journal.refresh();
  const fingerprint = fingerprintOf(recipient.publicKey);
  if (state.recipients.has(fingerprint)) {
    throw new EkkoError('bad-input', `Key ${fingerprint} opens the vault already.`);
  }
  const { name, key, epoch } = await writeKey(vault, state, recipient, at);
  const { kind, label } = recipient;
  const said = { recipient: fingerprint, kind, ...(label === undefined ? {} : { label }) };
  try {
    return await vault.journal.append((head) => {
      if (newestEpoch(head) !== epoch) throw new Rotated();
      return { type: 'recipient-added', ...said, key: name, at };
    });
  } catch (error) {
    if (!(error instanceof Rotated)) throw error;
    await vault.store.remove([key]).catch(() => undefined);
    return undefined;
  }
}

/** Leaves the append loop when the root key that was sealed is no longer the newest. */
class Rotated extends Error {}

async function writeKey(vault: Vault, state: VaultState, recipient: NewRecipient, at: string) {
  const epoch = newestEpoch(state);
  const keys = vault.keyring.epoch(epoch, 'The journal');
  const roots = holderOf(vault).rootKeys();
  const rootKey = roots[epoch - 1];
  if (rootKey === undefined) throw new EkkoError('bad-input', `The key given does not hold key epoch ${epoch}.`);
  const recipients = [{ ...recipient, since: at }];
  const sealed = await sealEpoch({ keys, rootKey, recipients, earlier: roots.slice(0, epoch - 1) });
  const bytes = encodeEpochDescription(keys, { format: 1, vault: vault.id, epoch: sealed });
  const name = contentName([bytes]);
  const key = epochKey(epoch, name);
  await vault.store.create(key, [bytes]);
  return { name, key, epoch };
}

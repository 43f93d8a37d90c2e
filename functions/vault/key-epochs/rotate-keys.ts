import { randomBytes } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { encodeEpochDescription } from '../format/epoch-description.ts';
import { MOST_EPOCHS } from '../format/key-epoch.ts';
import { newestEpoch, type VaultState } from '../journal/state.ts';
import { deriveEpochKeys, ROOT_KEY_SIZE } from '../keys/epoch-keys.ts';
import { fingerprintOf } from '../keys/identity.ts';
import type { Recipient } from '../keys/recipients.ts';
import { contentName, epochKey } from '../store/object-names.ts';
import type { Vault } from '../vault.ts';
import { currentRecipients } from './current-recipients.ts';
import { holderOf } from './holder.ts';
import { sealEpoch } from './seal-epoch.ts';

export interface Rotation {
  /** Fingerprints of recipients that shall not open the new epoch. */
  readonly remove: readonly string[];
  /** Said aloud: one key alone may open the vault afterwards. */
  readonly noEscrow: boolean;
  readonly now: Date;
}

/** Other writers come in between so often only where something is wrong. */
const MOST_TRIES = 100;

/**
 * Begins a new key epoch: a fresh root key, sealed to all recipients less those removed. From its journal entry on everything is
 * written under it. A crash before that leaves a key object that no entry names, and the vault as it was.
 * Throws `bad-input` (removes a stranger, everybody, or the key in use), `no-escrow` (one key would be left), `busy` (somebody else
 * rotated at the same time: nothing was done), what reading the key objects and appending throw.
 */
export async function rotateKeys(vault: Vault, rotation: Rotation): Promise<VaultState> {
  const before = newestEpoch(await vault.journal.refresh());
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const state = await vault.journal.refresh();
    if (newestEpoch(state) !== before) throw rotatedMeanwhile(before, state);
    const rotated = await tryRotation(vault, state, rotation);
    if (rotated === undefined) continue;
    if (rotated.escrow !== 'missing' || !rotation.noEscrow) return rotated;
    return vault.journal.append(() => ({ type: 'escrow-waived', at: rotation.now.toISOString() }));
  }
  throw new EkkoError(
    'busy',
    `The journal of ${vault.store.url} never stood still. Rotate when there is less going on.`,
  );
}

/** Undefined when somebody else's entry came first: the key object tells its place in the journal, so another one is needed. */
async function tryRotation(vault: Vault, state: VaultState, rotation: Rotation): Promise<VaultState | undefined> {
  const kept = await keptRecipients(vault, state, rotation);
  const at = rotation.now.toISOString();
  const { name, key, epoch } = await writeEpoch(vault, state, kept);
  const recipients = kept.map(({ publicKey }) => fingerprintOf(publicKey));
  try {
    return await vault.journal.append((head) => {
      if (head.position !== state.position) throw new MovedOn();
      return { type: 'epoch-started', epoch, key: name, recipients, at };
    });
  } catch (error) {
    if (!(error instanceof MovedOn)) throw error;
    // No entry names it, and none ever will.
    await vault.store.remove([key]).catch(() => undefined);
    return undefined;
  }
}

/** Leaves the append loop when the entry cannot stand where its key object says. */
class MovedOn extends Error {}

async function writeEpoch(vault: Vault, state: VaultState, recipients: readonly Recipient[]) {
  const epoch = newestEpoch(state) + 1;
  if (epoch > MOST_EPOCHS) throw new EkkoError('bad-input', `A vault has at most ${MOST_EPOCHS} key epochs.`);
  const rootKey = randomBytes(ROOT_KEY_SIZE);
  const keys = deriveEpochKeys(rootKey, vault.id, epoch);
  const sealed = await sealEpoch({ keys, rootKey, recipients, earlier: holderOf(vault).rootKeys() });
  const bytes = encodeEpochDescription(keys, {
    format: 1,
    vault: vault.id,
    start: state.position + 1,
    epoch: sealed,
  });
  const name = contentName([bytes]);
  const key = epochKey(epoch, name);
  await vault.store.create(key, [bytes]);
  return { name, key, epoch };
}

async function keptRecipients(vault: Vault, state: VaultState, { remove, noEscrow }: Rotation): Promise<Recipient[]> {
  const { recipient: own } = holderOf(vault);
  if (!state.recipients.has(own)) {
    throw new EkkoError(
      'bad-input',
      `Key ${own} is no listed recipient of the vault: add it, or open the vault with another.`,
    );
  }
  const stranger = remove.find((each) => !state.recipients.has(each));
  if (stranger !== undefined) throw new EkkoError('bad-input', `Key ${stranger} is no recipient of the vault.`);
  if (remove.includes(own)) {
    throw new EkkoError('bad-input', `Key ${own} is the one in use: open the vault with another key to remove it.`);
  }
  const gone = new Set(remove);
  const kept = (await currentRecipients(vault, state)).filter(({ publicKey }) => !gone.has(fingerprintOf(publicKey)));
  if (kept.length > 1 || noEscrow || state.escrow === 'waived') return kept;
  throw new EkkoError(
    'no-escrow',
    'One key alone would open the vault then, and if it were lost, all backups were. Add another one first, or say that there shall be none.',
  );
}

function rotatedMeanwhile(before: number, { epochs }: VaultState): EkkoError {
  const began = epochs.at(-1);
  return new EkkoError(
    'busy',
    `Somebody else rotated the key at the same time: epoch ${before} ended, and ${began?.epoch} began at ${began?.at}. Nothing was ` +
      'done here. Look at the recipients, and rotate again if something is left to do.',
  );
}

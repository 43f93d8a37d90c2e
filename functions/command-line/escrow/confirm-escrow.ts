import { EkkoError } from '#vault/errors.ts';
import { readEscrowCode } from '#vault/keys/escrow-code.ts';
import { fingerprintOf, type Identity } from '#vault/keys/identity.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openVault, type Vault } from '#vault/vault.ts';

export interface ConfirmedEscrow {
  /** Fingerprint of the escrow recipient. */
  readonly recipient: string;
  /** It had been confirmed before; now the code was only checked. */
  readonly already: boolean;
}

/**
 * Confirms that an escrow code, as typed from paper, opens the vault: nothing less proves that the paper is of use. Throws `bad-input`
 * for a code that is mistyped, `wrong-key` for one of another vault, and what `openVault` throws.
 */
export async function confirmEscrow(store: ObjectStore, code: string, journalFile?: string): Promise<ConfirmedEscrow> {
  const identity = readEscrowCode(code);
  const provider = { origin: 'escrow code', identity: () => Promise.resolve(identity) };
  const vault = await openVault(store, provider, journalFile);
  const recipient = escrowRecipient(vault, identity);
  const already = vault.journal.state().escrow === 'confirmed';
  if (!already) await recordConfirmation(vault, recipient);
  return { recipient, already };
}

/** Says in the journal that a second recipient can open the vault; from then on it takes restore points. */
export async function recordConfirmation(vault: Vault, recipient: string): Promise<void> {
  await vault.journal.append(() => ({ type: 'escrow-confirmed', recipient, at: new Date().toISOString() }));
}

function escrowRecipient({ journal }: Vault, { publicKey }: Identity): string {
  const recipient = fingerprintOf(publicKey);
  if (journal.state().recipients.get(recipient)?.kind === 'escrow') return recipient;
  throw new EkkoError('wrong-key', `Key ${recipient} opens the vault, but it is not its escrow code.`);
}

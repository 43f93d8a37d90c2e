import { EkkoError } from '#vault/errors.ts';
import type { VaultRecipient, VaultState } from '#vault/journal/state.ts';
import { fingerprintOf, parseRecipient } from '#vault/keys/identity.ts';
import { plainText } from '../text/plain-text.ts';

/**
 * The recipient that a person means: by its fingerprint or the beginning of it, its label, or its `ekko-recipient-1:…` text.
 * Throws `bad-input` when there is none, or more than one.
 */
export function findRecipient({ recipients }: Pick<VaultState, 'recipients'>, text: string): VaultRecipient {
  const fingerprint = text.startsWith('ekko-recipient-') ? fingerprintOf(parseRecipient(text)) : text.toLowerCase();
  const exact = recipients.get(fingerprint);
  if (exact !== undefined) return exact;
  const found = [...recipients.values()].filter(
    ({ recipient, label }) => label === text || (fingerprint.length >= SHORTEST && recipient.startsWith(fingerprint)),
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const shown = plainText(text, 60);
  const what =
    found.length === 0 ? `No key of the vault is called "${shown}"` : `"${shown}" may be any of ${found.length} keys`;
  throw new EkkoError('bad-input', `${what}. See \`ekko key list\`.`);
}

/** Digits of a fingerprint that are surely meant as one. */
const SHORTEST = 4;

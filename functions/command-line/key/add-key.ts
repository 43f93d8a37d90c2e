import { EkkoError } from '#vault/errors.ts';
import { label as checkLabel } from '#vault/format/fields.ts';
import { addRecipient } from '#vault/key-epochs/add-recipient.ts';
import { fingerprintOf, parseRecipient } from '#vault/keys/identity.ts';
import { newPassphrase } from '#vault/keys/passphrase.ts';
import { readPassphraseFile } from '#vault/keys/passphrase-file.ts';
import type { NewRecipient } from '#vault/keys/recipients.ts';
import { nameKey } from '#vault/keys/wanted-keys.ts';
import { askNewSecret } from '../ask-secret.ts';
import { recordConfirmation } from '../escrow/confirm-escrow.ts';
import type { CommandContext } from '../run-command.ts';
import { openToChange } from './open-to-change.ts';
import { readRecipientFile } from './read-recipient.ts';

/** Which key shall open the vault, too: one of the four. */
export interface AddedKey {
  readonly recipient?: string;
  readonly recipientFile?: string;
  readonly newPassphrase?: boolean;
  readonly newPassphraseFile?: string;
  readonly label?: string;
}

export interface AddKeyReport {
  readonly recipient: string;
  readonly kind: NewRecipient['kind'];
  readonly label: string | undefined;
  readonly since: string;
  readonly epoch: number;
}

/** Lets another key open the vault. Throws `bad-input`, and what opening it and `addRecipient` throw. */
export async function addKey(url: string, wanted: AddedKey, context: CommandContext): Promise<AddKeyReport> {
  const ways = [wanted.recipient, wanted.recipientFile, wanted.newPassphrase, wanted.newPassphraseFile];
  if (ways.filter((way) => way !== undefined).length !== 1) throw new EkkoError('bad-input', ONE_WAY);
  const label = wanted.label === undefined ? undefined : checkLabel(wanted.label, 'The label');
  const vault = await openToChange(url, context);
  const found = await newRecipient(wanted, context);
  const now = new Date();
  const state = await addRecipient(vault, { ...found, ...(label === undefined ? {} : { label }) }, now);
  const recipient = fingerprintOf(found.publicKey);
  if (state.escrow !== 'confirmed') await recordConfirmation(vault, recipient);
  return { recipient, kind: found.kind, label, since: now.toISOString(), epoch: state.epochs.length };
}

const ONE_WAY =
  'Say which key: one of --recipient, --recipient-file, --new-passphrase and --new-passphrase-file. `ekko key new` makes a key file.';

async function newRecipient(wanted: AddedKey, { screen }: CommandContext): Promise<NewRecipient> {
  if (wanted.recipient !== undefined) return { kind: 'key-file', publicKey: parseRecipient(wanted.recipient) };
  if (wanted.recipientFile !== undefined) {
    return { kind: 'key-file', publicKey: await readRecipientFile(wanted.recipientFile) };
  }
  const text =
    wanted.newPassphraseFile === undefined
      ? await askNewSecret(screen, 'passphrase', '--new-passphrase-file')
      : await readPassphraseFile(wanted.newPassphraseFile);
  const { identity, scrypt } = await newPassphrase(text);
  return { kind: 'passphrase', publicKey: identity.publicKey, scrypt };
}

export function describeAddedKey(url: string, { recipient, kind, label, since }: AddKeyReport): string[] {
  const named = nameKey({ recipient, kind, since, ...(label === undefined ? {} : { label }) });
  return [
    `Key ${named} opens the vault from now on, with every restore point in it.`,
    `Try it before you rely on it: \`ekko key check ${url}\` with that key.`,
  ];
}

import { fingerprintOf, formatRecipient } from '#vault/keys/identity.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';

export interface NewKeyReport {
  readonly keyFile: string;
  /** For `ekko key add`, on whatever machine: not secret. */
  readonly recipient: string;
  readonly fingerprint: string;
}

/** Makes a key file. Throws `bad-input` when it is there already, or cannot be made. */
export async function newKey(path: string): Promise<NewKeyReport> {
  const { publicKey } = await createKeyFile(path);
  return { keyFile: path, recipient: formatRecipient(publicKey), fingerprint: fingerprintOf(publicKey) };
}

export function describeNewKey({ keyFile, recipient, fingerprint }: NewKeyReport): string[] {
  return [
    `Key ${fingerprint} was written to ${keyFile}, which stays here. Its recipient may be passed on:`,
    recipient,
    'It opens nothing yet: whoever has a key of the vault adds it by `ekko key add VAULT --recipient …`.',
  ];
}

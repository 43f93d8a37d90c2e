import type { WrappedRootKey } from '../format/key-epoch.ts';
import { readEscrowCode } from './escrow-code.ts';
import type { Identity } from './identity.ts';
import { readKeyFile } from './key-file.ts';
import { identityOfPassphrase } from './passphrase.ts';

/** Where the private half of a recipient comes from. */
export interface KeyProvider {
  /** For messages: `key file /etc/ekko/key`. Never holds a secret. */
  readonly origin: string;
  /**
   * The identity, read each time anew. `offered` is what the vault holds for its recipients, nothing of which is authenticated yet.
   * Throws `bad-input` or `bad-format`, saying what to do; `wrong-key` where it can tell already.
   */
  identity(offered: readonly WrappedRootKey[]): Promise<Identity>;
}

/** The identity in a key file. */
export function keyFileProvider(path: string): KeyProvider {
  return { origin: `key file ${path}`, identity: () => readKeyFile(path) };
}

/** The identity of an escrow code, which `ask` gets from a person. */
export function escrowCodeProvider(ask: () => Promise<string>): KeyProvider {
  return { origin: 'escrow code', identity: async () => readEscrowCode(await ask()) };
}

/** The identity of a passphrase, which `ask` gets from a person or a file. */
export function passphraseProvider(ask: () => Promise<string>): KeyProvider {
  return { origin: 'passphrase', identity: async (offered) => identityOfPassphrase(await ask(), offered) };
}

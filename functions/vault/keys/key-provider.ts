import { readEscrowCode } from './escrow-code.ts';
import type { Identity } from './identity.ts';
import { readKeyFile } from './key-file.ts';

/** Where the private half of a recipient comes from. */
export interface KeyProvider {
  /** For messages: `key file /etc/ekko/key`. Never holds a secret. */
  readonly origin: string;
  /** Reads the identity, each time anew. Throws `bad-input` or `bad-format`, saying what to do. */
  identity(): Promise<Identity>;
}

/** The identity in a key file. */
export function keyFileProvider(path: string): KeyProvider {
  return { origin: `key file ${path}`, identity: () => readKeyFile(path) };
}

/** The identity of an escrow code, which `ask` gets from a person. */
export function escrowCodeProvider(ask: () => Promise<string>): KeyProvider {
  return { origin: 'escrow code', identity: async () => readEscrowCode(await ask()) };
}

import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { publicKeyOf } from './hpke.ts';

/** Everything that is derived from one epoch's root key (HKDF-SHA-256, RFC 5869; `docs/format.md`, "Keys"). */
export interface EpochKeys {
  readonly vault: string;
  readonly epoch: number;
  /** HMAC-SHA-256 key of segment ids. */
  readonly idKey: KeyObject;
  /** AES-256-GCM key that wraps the fresh key of each pack and record. */
  readonly sealKey: KeyObject;
  /** HMAC-SHA-256 key of journal entries and of `vault.json`. */
  readonly journalKey: KeyObject;
  /** X25519 pair that staged parts are sealed to; the public half stands in `vault.json`. */
  readonly staging: StagingKeyPair;
  /** The HPKE pre-shared key of one disk in one run: whoever has it may stage parts for that disk in that run, and nothing else. */
  runToken(run: string, disk: number): Buffer;
}

export interface StagingKeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

/** The keys of every epoch that the given identity opens. */
export interface Keyring {
  /** The epoch that new objects are written under. */
  readonly newest: EpochKeys;
  /** Keys of an older object. Throws `wrong-key` when the keyring has no such epoch. */
  epoch(epoch: number, origin: string): EpochKeys;
}

export const ROOT_KEY_SIZE = 32;

/** Derives an epoch's keys. `rootKey` is 32 random bytes, `vault` the vault's id; the same input gives the same keys for ever. */
export function deriveEpochKeys(rootKey: Uint8Array, vault: string, epoch: number): EpochKeys {
  if (rootKey.length !== ROOT_KEY_SIZE) {
    throw new EkkoError('bad-input', `A root key has ${ROOT_KEY_SIZE} bytes, found ${rootKey.length}.`);
  }
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', rootKey, `${vault}\0${epoch}`, `ekko/1 ${purpose}`, 32));
  const privateKey = derive('staging');
  return {
    vault,
    epoch,
    idKey: createSecretKey(derive('segment id')),
    sealKey: createSecretKey(derive('seal')),
    journalKey: createSecretKey(derive('journal')),
    staging: { publicKey: publicKeyOf(privateKey), privateKey },
    runToken: (run, disk) => derive(`run token\0${run}\0${disk}`),
  };
}

/** A keyring of epochs, newest last. Throws `bad-input` when empty. */
export function keyringOf(epochs: readonly EpochKeys[]): Keyring {
  const newest = epochs.at(-1);
  if (newest === undefined) throw new EkkoError('bad-input', 'A keyring needs at least one key epoch.');
  const byNumber = new Map(epochs.map((keys) => [keys.epoch, keys]));
  return {
    newest,
    epoch: (epoch, origin) => {
      const keys = byNumber.get(epoch);
      if (keys) return keys;
      const held = [...byNumber.keys()].join(', ');
      throw new EkkoError(
        'wrong-key',
        `${origin} is sealed under key epoch ${epoch}; the key given opens epoch ${held}.`,
      );
    },
  };
}

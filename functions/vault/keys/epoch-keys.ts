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
  /** HMAC-SHA-256 key of journal entries, of `vault.json` and of key objects. */
  readonly journalKey: KeyObject;
  /** X25519 pair that staged parts are sealed to; the public half stands in `vault.json` or the epoch's key object. */
  readonly staging: StagingKeyPair;
  /** The HPKE pre-shared key of one disk in one run: whoever has it may stage parts for that disk in that run, and nothing else. */
  runToken(run: string, disk: number): Buffer;
}

export interface StagingKeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

/** A key epoch that the journal says has begun. */
export interface BegunKeyEpoch {
  readonly epoch: number;
  /** Name of its key object in `keys/`. */
  readonly key: string;
  /** ISO time, for people. */
  readonly at: string;
}

/** The keys of every epoch that the given identity opens. */
export interface Keyring {
  /**
   * The epoch that new objects are written under. It changes when the journal is read and says that another one has begun: whoever
   * makes one thing by several calls takes it once.
   */
  readonly newest: EpochKeys;
  /** Keys of an older object. Throws `wrong-key` when the keyring has no such epoch. */
  epoch(epoch: number, origin: string): EpochKeys;
  /**
   * Called for each epoch that the journal begins, in order: gets its keys. Throws `wrong-key` when they cannot be had (removed, or
   * a keyring that cannot learn), `object-missing` and `damaged` (its key object), `store-failed`.
   */
  begin(begun: BegunKeyEpoch): Promise<void>;
}

export const ROOT_KEY_SIZE = 32;

/** Derives an epoch's keys. `rootKey` is 32 random bytes, `vault` the vault's id; the same input gives the same keys for ever. */
export function deriveEpochKeys(rootKey: Uint8Array, vault: string, epoch: number): EpochKeys {
  if (rootKey.length !== ROOT_KEY_SIZE) {
    throw new EkkoError('bad-input', `A root key has ${ROOT_KEY_SIZE} bytes, found ${rootKey.length}.`);
  }
  // The caller's buffer may change; the closure below needs the key for as long as it lives.
  const secret = createSecretKey(rootKey);
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', secret, `${vault}\0${epoch}`, `ekko/1 ${purpose}`, 32));
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

/** A keyring of epochs, newest last, that learns of no other. Throws `bad-input` when empty. */
export function keyringOf(epochs: readonly EpochKeys[]): Keyring {
  const newest = epochs.at(-1);
  if (newest === undefined) throw new EkkoError('bad-input', 'A keyring needs at least one key epoch.');
  const byNumber = new Map(epochs.map((keys) => [keys.epoch, keys]));
  return {
    newest,
    epoch: (epoch, origin) => byNumber.get(epoch) ?? unknownEpoch(byNumber, epoch, origin),
    begin: async ({ epoch }) => {
      if (!byNumber.has(epoch)) unknownEpoch(byNumber, epoch, 'The journal');
    },
  };
}

/** Throws `wrong-key` for an object of an epoch that is not among those held. */
export function unknownEpoch(held: ReadonlyMap<number, EpochKeys>, epoch: number, origin: string): never {
  const numbers = [...held.keys()].sort((a, b) => a - b);
  const advice = epoch > (numbers.at(-1) ?? 0) ? ' If the key was rotated, open the vault again.' : '';
  const epochs = numbers.length === 1 ? 'epoch' : 'epochs';
  const opens = `the key given opens ${epochs} ${numbers.join(', ')}`;
  throw new EkkoError('wrong-key', `${origin} is sealed under key epoch ${epoch}; ${opens}.${advice}`);
}

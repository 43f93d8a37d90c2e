import { randomBytes } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { parseJson } from './bytes.ts';
import { type Check, fingerprint, integer, label, listOf, oneOf, optional, readFields, text, time } from './fields.ts';
import { NONCE_SIZE, open, seal } from './sealing.ts';

/** How a recipient keeps its private key: in a file, on paper, in the head, or in OpenStack's Key Manager. */
export type RecipientKind = 'key-file' | 'escrow' | 'passphrase' | 'barbican';

/** How a passphrase becomes a private key (RFC 7914). `n` is a power of two; 128 · n · r bytes of memory. */
export interface ScryptSettings {
  /** Base64 of 16 random bytes. */
  readonly salt: string;
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** A root key sealed to one recipient. `recipient` is the fingerprint of its public key. */
export interface WrappedRootKey {
  readonly recipient: string;
  readonly kind: RecipientKind;
  /** What people call it. In the clear: whoever has no key must be told which ones there are. */
  readonly label?: string;
  /** When it became a recipient. */
  readonly since: string;
  /** Of kind `passphrase` only. */
  readonly scrypt?: ScryptSettings;
  /** Base64 of the HPKE enc and ciphertext. */
  readonly sealed: string;
}

/** One key epoch: its root key, sealed to recipients. Stands in `vault.json` (the first one) and in key objects. */
export interface KeyEpoch {
  readonly number: number;
  readonly wrapped: readonly WrappedRootKey[];
  /** Base64 of the X25519 public key that staged parts are sealed to. */
  readonly stagingPublicKey: string;
  /** Base64 of a nonce and a box under the epoch's seal key: the `EpochSecrets`. */
  readonly secrets: string;
}

/** What an epoch tells those who can open it, and nobody else. */
export interface EpochSecrets {
  /** By recipient: X25519, 32 bytes. Whoever knew one could offer its holder a vault of his own making, so they are not in the clear. */
  readonly publicKeys: ReadonlyMap<string, Uint8Array>;
  /** The root keys of all earlier epochs, oldest first. */
  readonly earlier: readonly Uint8Array[];
}

/** Of one vault: so many can be told in one entry of the journal, and in one message. */
export const MOST_RECIPIENTS = 64;
/** Four digits in a key. */
export const MOST_EPOCHS = 9999;

/**
 * Memory and time that a passphrase costs are bounded here, for they are read before anybody vouches for them: at most 256 MiB.
 * Less than 32 MiB would make guessing cheap.
 */
const LEAST_N = 2 ** 15;
const MOST_N = 2 ** 18;
const SCRYPT_R = 8;
const SCRYPT_P = 1;

const scryptSettings: Check<ScryptSettings> = (value, what) =>
  readFields(value, what, (field) => {
    const salt = field('salt', base64(16, 16));
    const [n, r, p] = [field('n', integer(MOST_N)), field('r', integer(SCRYPT_R)), field('p', integer(SCRYPT_P))];
    const wrong = n < LEAST_N || !Number.isInteger(Math.log2(n)) || r !== SCRYPT_R || p !== SCRYPT_P;
    if (wrong) throw refuse(what, `asks for scrypt with n ${n}, r ${r}, p ${p}, which no Ekko does`);
    return { salt, n, r, p };
  });

const wrappedRootKey: Check<WrappedRootKey> = (value, what) =>
  readFields(value, what, (field) => {
    const recipient = field('recipient', fingerprint);
    const kind = field('kind', oneOf('key-file', 'escrow', 'passphrase', 'barbican'));
    const called = field('label', optional(label));
    const since = field('since', time);
    const scrypt = kind === 'passphrase' ? field('scrypt', scryptSettings) : undefined;
    const sealed = field('sealed', text(200));
    return {
      ...{ recipient, kind },
      ...(called === undefined ? {} : { label: called }),
      since,
      ...(scrypt === undefined ? {} : { scrypt }),
      sealed,
    };
  });

/** The epoch in a JSON value, its fields in the order that the MAC is made over. Throws `bad-format`. */
export const keyEpoch: Check<KeyEpoch> = (value, what) =>
  readFields(value, what, (field) => {
    const number = field('number', integer(MOST_EPOCHS));
    const wrapped = field('wrapped', listOf(wrappedRootKey, MOST_RECIPIENTS));
    if (number < 1 || wrapped.length === 0) throw refuse(what, 'is no key epoch');
    const stagingPublicKey = field('stagingPublicKey', base64(32, 32));
    return { number, wrapped, stagingPublicKey, secrets: field('secrets', base64(28, LARGEST_SECRETS)) };
  });

/** Public keys of all recipients, root keys of all epochs. */
const LARGEST_SECRETS = 1024 * 1024;

/** The box of an epoch's secrets, in base64. */
export function sealSecrets(keys: EpochKeys, { publicKeys, earlier }: EpochSecrets): string {
  const plain = Buffer.from(
    JSON.stringify({
      publicKeys: [...publicKeys].map(([recipient, key]) => ({ recipient, key: Buffer.from(key).toString('base64') })),
      earlier: earlier.map((root) => Buffer.from(root).toString('base64')),
    }),
  );
  const nonce = randomBytes(NONCE_SIZE);
  return Buffer.concat([nonce, ...seal(keys.sealKey, nonce, plain, placeOf(keys))]).toString('base64');
}

/** Throws `damaged` when the box was not sealed for this epoch of this vault, `bad-format`. */
export function openSecrets(keys: EpochKeys, { secrets }: KeyEpoch, origin: string): EpochSecrets {
  const box = Buffer.from(secrets, 'base64');
  const plain = open(keys.sealKey, box.subarray(0, NONCE_SIZE), box.subarray(NONCE_SIZE), origin, placeOf(keys));
  return readFields(parseJson(plain, origin), origin, (field) => ({
    publicKeys: new Map(field('publicKeys', listOf(publicKey, MOST_RECIPIENTS))),
    earlier: field('earlier', listOf(key32, MOST_EPOCHS)),
  }));
}

/** No record or pack has such additional data: a box of one cannot stand for a box of the other. */
function placeOf({ vault, epoch }: EpochKeys): Buffer {
  return Buffer.from(`ekko/1 epoch\0${vault}\0${epoch}`);
}

const key32: Check<Buffer> = (value, what) => Buffer.from(base64(32, 32)(value, what), 'base64');

const publicKey: Check<[string, Buffer]> = (value, what) =>
  readFields(value, what, (field) => [field('recipient', fingerprint), field('key', key32)]);

/** Base64 as Node writes it, of `least` to `most` bytes. */
function base64(least: number, most: number): Check<string> {
  return (value, what) => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(0);
    if (bytes.toString('base64') === value && bytes.length >= least && bytes.length <= most) return value;
    throw refuse(what, 'is not base64 of the right length');
  };
}

function refuse(what: string, found: string): EkkoError {
  return new EkkoError('bad-format', `${what} ${found}.`);
}

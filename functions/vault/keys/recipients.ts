import { EkkoError } from '../errors.ts';
import type { RecipientKind, ScryptSettings, WrappedRootKey } from '../format/key-epoch.ts';
import { ROOT_KEY_SIZE } from './epoch-keys.ts';
import { arrayBufferOf, HPKE_ENC_SIZE, hpke } from './hpke.ts';
import { fingerprintOf, type Identity } from './identity.ts';

const TAG_SIZE = 16;
const SEALED_SIZE = HPKE_ENC_SIZE + ROOT_KEY_SIZE + TAG_SIZE;

/** Somebody who shall be able to open the vault. */
export interface NewRecipient {
  /** Where the private half is kept. */
  readonly kind: RecipientKind;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** What people call it. It stands in the clear in the vault. */
  readonly label?: string;
  /** Of kind `passphrase` only: how the private key comes from it. */
  readonly scrypt?: ScryptSettings;
}

/** Somebody who can open the vault. */
export interface Recipient extends NewRecipient {
  /** ISO time. */
  readonly since: string;
}

/** What a root key belongs to; a wrapped key opens in its own place only. */
export interface RootKeyContext {
  /** The vault's id. */
  readonly vault: string;
  readonly epoch: number;
}

/** Seals a 32-byte root key to a recipient (HPKE base mode, RFC 9180). Throws `bad-input` for keys that cannot be. */
export async function wrapRootKey(
  rootKey: Uint8Array,
  { publicKey, kind, label, since, scrypt }: Recipient,
  context: RootKeyContext,
): Promise<WrappedRootKey> {
  if (rootKey.length !== ROOT_KEY_SIZE) {
    throw new EkkoError('bad-input', `A root key has ${ROOT_KEY_SIZE} bytes, found ${rootKey.length}.`);
  }
  const { enc, ct } = await sealTo(publicKey, rootKey, infoOf(context));
  const sealed = Buffer.concat([Buffer.from(enc), Buffer.from(ct)]).toString('base64');
  return {
    ...{ recipient: fingerprintOf(publicKey), kind },
    ...(label === undefined ? {} : { label }),
    since,
    ...(scrypt === undefined ? {} : { scrypt }),
    sealed,
  };
}

/**
 * The root key, from whichever of `wrapped` is sealed to `identity`; undefined where none says so. Throws `damaged` when those that
 * name this identity do not open.
 */
export async function unwrapRootKey(
  wrapped: readonly WrappedRootKey[],
  identity: Identity,
  context: RootKeyContext,
): Promise<Buffer | undefined> {
  const fingerprint = fingerprintOf(identity.publicKey);
  const info = infoOf(context);
  const ours = wrapped.filter((each) => each.recipient === fingerprint);
  if (ours.length === 0) return undefined;
  let cause: unknown;
  for (const each of ours) {
    try {
      return await openWith(identity, each.sealed, info);
    } catch (error) {
      cause = error;
    }
  }
  const what = `The root key of ${placeOf(context)} that is sealed to key ${fingerprint} does not open`;
  throw new EkkoError('damaged', `${what}: it was changed, or copied from another vault. Try another key.`, { cause });
}

async function sealTo(publicKey: Uint8Array, rootKey: Uint8Array, info: ArrayBuffer) {
  try {
    const recipientPublicKey = await hpke.kem.deserializePublicKey(arrayBufferOf(publicKey));
    return await hpke.seal({ recipientPublicKey, info }, arrayBufferOf(rootKey));
  } catch (cause) {
    throw new EkkoError('bad-input', `Recipient ${fingerprintOf(publicKey)} is not an X25519 public key.`, { cause });
  }
}

async function openWith(identity: Identity, sealed: string, info: ArrayBuffer): Promise<Buffer> {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length !== SEALED_SIZE) throw new Error(`${bytes.length} bytes, expected ${SEALED_SIZE}`);
  const recipientKey = await hpke.kem.deserializePrivateKey(arrayBufferOf(identity.privateKey.export()));
  const enc = arrayBufferOf(bytes.subarray(0, HPKE_ENC_SIZE));
  return Buffer.from(await hpke.open({ recipientKey, enc, info }, arrayBufferOf(bytes.subarray(HPKE_ENC_SIZE))));
}

function infoOf({ vault, epoch }: RootKeyContext): ArrayBuffer {
  // NUL separates the fields, so a vault id that held one could be read in two ways.
  if (vault === '' || vault.includes('\0'))
    throw new EkkoError('bad-input', 'A vault id is not empty and holds no NUL.');
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new EkkoError('bad-input', `${epoch} is not a key epoch.`);
  return arrayBufferOf(`ekko/1 root key\0${vault}\0${epoch}`);
}

function placeOf({ vault, epoch }: RootKeyContext): string {
  return `vault ${escaped(vault)}, epoch ${epoch}`;
}

/** This text comes from the vault, whose key is not known yet: nobody vouches for it. */
function escaped(text: string): string {
  return /^[\w-]{1,64}$/.test(text) ? text : JSON.stringify(text.slice(0, 64));
}

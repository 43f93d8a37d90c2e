import { createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { publicKeyOf } from './hpke.ts';

/** Bytes of an X25519 key, private or public. */
export const X25519_KEY_SIZE = 32;

/** An X25519 key pair that opens vaults: of a key file or an escrow code. */
export interface Identity {
  /** 32 bytes. */
  readonly publicKey: Buffer;
  /** The raw 32 bytes as a secret key object: those never show in a log or an inspection by accident. */
  readonly privateKey: KeyObject;
}

/** A fresh identity. `privateKey` is its secret: for the one place that keeps it. */
export function newIdentity(): { readonly identity: Identity; readonly privateKey: Buffer } {
  const privateKey = randomBytes(X25519_KEY_SIZE);
  return { identity: identityOf(privateKey), privateKey };
}

/** The identity of a raw private key. Throws `bad-input` unless it has 32 bytes. */
export function identityOf(privateKey: Uint8Array): Identity {
  if (privateKey.length !== X25519_KEY_SIZE) {
    throw new EkkoError('bad-input', `A private key has ${X25519_KEY_SIZE} bytes, found ${privateKey.length}.`);
  }
  return { publicKey: publicKeyOf(privateKey), privateKey: createSecretKey(privateKey) };
}

const RECIPIENT = /^ekko-recipient-1:([A-Za-z0-9_-]{43})$/;

/** A public key as text: `ekko-recipient-1:` and base64url of its 32 bytes. */
export function formatRecipient(publicKey: Uint8Array): string {
  return `ekko-recipient-1:${Buffer.from(publicKey).toString('base64url')}`;
}

/** The public key in a recipient text (blanks around it are allowed). Throws `bad-input`. */
export function parseRecipient(text: string): Buffer {
  const coded = RECIPIENT.exec(text.trim())?.[1];
  const publicKey = coded === undefined ? undefined : decodeKey(coded);
  if (publicKey !== undefined) return publicKey;
  const secret = text.includes('ekko-key-') ? ' This looks like a private key: keep it secret.' : '';
  throw new EkkoError('bad-input', `A recipient is ekko-recipient-1: and 43 base64url characters.${secret}`);
}

/** Names a recipient in messages and records: the first 8 bytes of the SHA-256 of the public key, in hex. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 16);
}

/** 32 bytes from base64url; undefined when the text is not the one way to write them. */
export function decodeKey(coded: string): Buffer | undefined {
  const bytes = Buffer.from(coded, 'base64url');
  return bytes.length === X25519_KEY_SIZE && bytes.toString('base64url') === coded ? bytes : undefined;
}

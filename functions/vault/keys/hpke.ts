import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';

/**
 * HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Used to agree on a key (its export secret);
 * bulk bytes are sealed by node:crypto under that key, which is four times as fast.
 */
export const hpke = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

export const HPKE_ENC_SIZE = 32;

/** A copy of exactly these bytes: Buffers share pools, and the library takes whole ArrayBuffers. */
export function arrayBufferOf(bytes: Uint8Array | string): ArrayBuffer {
  const view = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  return new Uint8Array(view).buffer;
}

/** The X25519 public key of a 32-byte private key. */
export function publicKeyOf(privateKey: Uint8Array): Buffer {
  const der = Buffer.concat([PKCS8_X25519, privateKey]);
  const pair = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return pair.export({ format: 'der', type: 'spki' }).subarray(-32);
}

/** RFC 8410: the PKCS #8 prefix of a raw X25519 private key. */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** A part's key as agreed between whoever holds `psk` and the vault. `info` binds it to one place. */
export interface AgreedKey {
  readonly enc: Buffer;
  readonly key: KeyObject;
}

export interface Agreement {
  readonly info: string;
  readonly psk: Uint8Array;
  readonly pskId: string;
}

const EXPORT_CONTEXT = 'ekko/1 part key';

/** Sender side: a fresh key that only the holder of the private key *and* the token can compute. */
export async function agreeAsSender(publicKey: Uint8Array, agreement: Agreement): Promise<AgreedKey> {
  const sender = await hpke.createSenderContext({
    recipientPublicKey: await hpke.kem.deserializePublicKey(arrayBufferOf(publicKey)),
    info: arrayBufferOf(agreement.info),
    psk: { key: arrayBufferOf(agreement.psk), id: arrayBufferOf(agreement.pskId) },
  });
  const key = createSecretKey(Buffer.from(await sender.export(arrayBufferOf(EXPORT_CONTEXT), 32)));
  return { enc: Buffer.from(sender.enc), key };
}

/** Receiver side. A wrong enc, token or info gives a key that opens nothing; an invalid enc throws the library's error. */
export async function agreeAsRecipient(
  privateKey: Uint8Array,
  enc: Uint8Array,
  agreement: Agreement,
): Promise<KeyObject> {
  const recipient = await hpke.createRecipientContext({
    recipientKey: await hpke.kem.deserializePrivateKey(arrayBufferOf(privateKey)),
    enc: arrayBufferOf(enc),
    info: arrayBufferOf(agreement.info),
    psk: { key: arrayBufferOf(agreement.psk), id: arrayBufferOf(agreement.pskId) },
  });
  return createSecretKey(Buffer.from(await recipient.export(arrayBufferOf(EXPORT_CONTEXT), 32)));
}

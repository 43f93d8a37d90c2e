import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { release } from '../memory.ts';

/** AES-256-GCM (NIST SP 800-38D) as every format of the vault uses it: 12-byte nonce, 16-byte tag behind the ciphertext. */
export const TAG_SIZE = 16;
export const NONCE_SIZE = 12;
const KEY_SIZE = 32;
/** nonce ‖ wrapped key ‖ tag */
export const WRAPPED_KEY_SIZE = NONCE_SIZE + KEY_SIZE + TAG_SIZE;

/** The nonce of the `n`-th box under a key that is fresh for its object: `n` as u32, little-endian, then zeros. */
export function countedNonce(n: number): Buffer {
  const nonce = Buffer.alloc(NONCE_SIZE);
  nonce.writeUInt32LE(n);
  return nonce;
}

/** The nonce of an object's index or header: a number that no frame or chunk can have. */
export const HEADER_NONCE = countedNonce(0xffff_ffff);

/**
 * Ciphertext and tag, as two pieces so that nothing is copied together. Lengths: `plain.length` and 16.
 * Keys are KeyObjects everywhere: given bytes, node:crypto makes two errors with their stacks at each call before it takes them.
 */
export function seal(key: KeyObject, nonce: Uint8Array, plain: Uint8Array, aad?: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  if (aad) cipher.setAAD(aad);
  const sealed = cipher.update(plain);
  cipher.final();
  return [sealed, cipher.getAuthTag()];
}

/** The plaintext of ciphertext ‖ tag. Throws `damaged` naming `origin` when the bytes, the key, the nonce or the aad are not the ones sealed. */
export function open(key: KeyObject, nonce: Uint8Array, box: Uint8Array, origin: string, aad?: Uint8Array): Buffer {
  if (box.length < TAG_SIZE) throw new EkkoError('damaged', `${origin} is cut short: ${box.length} bytes.`);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  if (aad) decipher.setAAD(aad);
  decipher.setAuthTag(box.subarray(box.length - TAG_SIZE));
  const plain = decipher.update(box.subarray(0, box.length - TAG_SIZE));
  try {
    decipher.final();
  } catch (cause) {
    throw new EkkoError('damaged', `${origin} fails its authentication: it was changed, or sealed under another key.`, {
      cause,
    });
  }
  return plain;
}

/** Whether a box that was just sealed, ciphertext and tag, opens to what went into it. */
export function opensTo(
  key: KeyObject,
  nonce: Uint8Array,
  [sealed, tag]: readonly [Uint8Array, Uint8Array],
  plain: Uint8Array,
  aad?: Uint8Array,
): boolean {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  if (aad) decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const opened = decipher.update(sealed);
  try {
    decipher.final();
    return opened.equals(plain);
  } catch {
    return false;
  } finally {
    release(opened);
  }
}

/** A fresh random key for one object, and the same wrapped under the epoch's seal key. */
export function freshKey(sealKey: KeyObject, aad: Uint8Array): { key: KeyObject; wrapped: Buffer } {
  const key = randomBytes(KEY_SIZE);
  const nonce = randomBytes(NONCE_SIZE);
  return { key: createSecretKey(key), wrapped: Buffer.concat([nonce, ...seal(sealKey, nonce, key, aad)]) };
}

/** The object's key back out of its wrapping. Throws `damaged`. */
export function unwrapKey(sealKey: KeyObject, wrapped: Uint8Array, aad: Uint8Array, origin: string): KeyObject {
  const [nonce, box] = [wrapped.subarray(0, NONCE_SIZE), wrapped.subarray(NONCE_SIZE)];
  return createSecretKey(open(sealKey, nonce, box, `The key of ${origin}`, aad));
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { PAGE_SPAN, SEGMENT_SIZE } from '../words.ts';
import { parseJson } from './bytes.ts';

/** A root key sealed to one recipient. `recipient` is the fingerprint of its public key. */
export interface WrappedRootKey {
  readonly recipient: string;
  readonly kind: 'key-file' | 'escrow';
  /** Base64 of the HPKE enc and ciphertext. */
  readonly sealed: string;
}

export interface KeyEpoch {
  readonly number: number;
  readonly wrapped: readonly WrappedRootKey[];
  /** Base64 of the X25519 public key that staged parts are sealed to. */
  readonly stagingPublicKey: string;
}

/** `vault.json`: what must be known before anything can be read. Written once (`docs/format.md`, "vault.json"). */
export interface VaultDescription {
  readonly format: 1;
  /** Random, 32 hex digits. */
  readonly vault: string;
  readonly segmentSize: number;
  readonly pageSpan: number;
  readonly suite: string;
  readonly journal: 'objects';
  readonly epoch: KeyEpoch;
}

export const SUITE = 'HMAC-SHA-256 AES-256-GCM HKDF-SHA-256 X25519-HPKE zstd';
const LARGEST = 65_536;

/** The file's bytes: JSON for people, with a MAC over the rest so that nobody can slip in another public key. */
export function encodeDescription(keys: EpochKeys, description: VaultDescription): Buffer {
  return Buffer.from(`${JSON.stringify({ ...description, mac: macOf(keys, description) }, null, 2)}\n`);
}

/** Throws `bad-format`: not a vault, or one of another format version. Not yet authenticated: see `checkDescription`. */
export function decodeDescription(bytes: Uint8Array, origin: string): { description: VaultDescription; mac: string } {
  if (bytes.length > LARGEST)
    throw new EkkoError('bad-format', `${origin} has ${bytes.length} bytes; that is no vault.`);
  const found = parseJson(bytes, origin) as (VaultDescription & { mac?: unknown }) | null;
  if (found?.format !== 1) {
    throw new EkkoError(
      'bad-format',
      `${origin} is of vault format ${JSON.stringify(found?.format)}; this Ekko reads format 1. Use the Ekko that made it, or a newer one.`,
    );
  }
  const { mac, ...description } = found;
  const fixed = { segmentSize: SEGMENT_SIZE, pageSpan: PAGE_SPAN, suite: SUITE, journal: 'objects' } as const;
  for (const [name, value] of Object.entries(fixed)) {
    if (description[name as keyof typeof fixed] === value) continue;
    throw new EkkoError(
      'bad-format',
      `${origin} asks for ${name} ${JSON.stringify(description[name as keyof typeof fixed])}; this Ekko knows ${value}.`,
    );
  }
  if (typeof mac !== 'string' || !isEpoch(description.epoch) || !/^[0-9a-f]{32}$/.test(String(description.vault))) {
    throw new EkkoError('bad-format', `${origin} is not a complete vault description.`);
  }
  return { description, mac };
}

/** Throws `damaged` when the description is not the one that was written by the holder of the root key. */
export function checkDescription(keys: EpochKeys, description: VaultDescription, mac: string, origin: string): void {
  const expected = Buffer.from(macOf(keys, description));
  const found = Buffer.from(mac);
  if (expected.length === found.length && timingSafeEqual(expected, found)) return;
  throw new EkkoError(
    'damaged',
    `${origin} was changed after it was written. Restore it from a copy of the vault; do not back up into it.`,
  );
}

/** Over the compact JSON of the description in the field order of `VaultDescription`. */
function macOf(keys: EpochKeys, d: VaultDescription): string {
  const { format, vault, segmentSize, pageSpan, suite, journal, epoch } = d;
  const { number, wrapped, stagingPublicKey } = epoch;
  const recipients = wrapped.map(({ recipient, kind, sealed }) => ({ recipient, kind, sealed }));
  const ordered = {
    format,
    vault,
    segmentSize,
    pageSpan,
    suite,
    journal,
    epoch: { number, wrapped: recipients, stagingPublicKey },
  };
  return createHmac('sha256', keys.journalKey).update(JSON.stringify(ordered)).digest('hex');
}

function isEpoch(epoch: KeyEpoch | undefined): boolean {
  const wrapped = epoch?.wrapped;
  if (!Number.isSafeInteger(epoch?.number) || typeof epoch?.stagingPublicKey !== 'string' || !Array.isArray(wrapped))
    return false;
  return wrapped.length > 0 && wrapped.length <= 64 && wrapped.every(isWrapped);
}

function isWrapped(entry: WrappedRootKey | null): boolean {
  return (
    typeof entry?.recipient === 'string' &&
    typeof entry.sealed === 'string' &&
    (entry.kind === 'key-file' || entry.kind === 'escrow')
  );
}

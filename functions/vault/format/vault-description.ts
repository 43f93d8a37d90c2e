import { EkkoError } from '../errors.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { PAGE_SPAN, SEGMENT_SIZE, type VaultLock } from '../words.ts';
import { parseJson } from './bytes.ts';
import { type KeyEpoch, keyEpoch } from './key-epoch.ts';
import { isMac, macOf } from './key-mac.ts';
import { readLock } from './vault-lock.ts';

/** Where the journal lies: in objects of the store, or in a SQL table with a copy in such objects. */
export type JournalKind = (typeof JOURNAL_KINDS)[number];
const JOURNAL_KINDS = ['objects', 'sql'] as const;

/** `vault.json`: what must be known before anything can be read. Written once (`docs/format.md`, "vault.json"). */
export interface VaultDescription {
  readonly format: 1;
  /** Random, 32 hex digits. */
  readonly vault: string;
  readonly segmentSize: number;
  readonly pageSpan: number;
  readonly suite: string;
  readonly journal: JournalKind;
  /** What lasts is written locked; undefined: it is not. */
  readonly lock?: VaultLock;
  /** The first one; later ones begin in the journal. */
  readonly epoch: KeyEpoch;
}

export const SUITE = 'HMAC-SHA-256 AES-256-GCM HKDF-SHA-256 X25519-HPKE zstd';
const LARGEST = 65_536;

/** The file's bytes: JSON for people, with a MAC over the rest so that nobody can slip in another public key. */
export function encodeDescription(keys: EpochKeys, description: VaultDescription): Buffer {
  const ordered = inOrder(description);
  return Buffer.from(`${JSON.stringify({ ...ordered, mac: macOf(keys, ordered) }, null, 2)}\n`);
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
  const known = { segmentSize: [SEGMENT_SIZE], pageSpan: [PAGE_SPAN], suite: [SUITE], journal: JOURNAL_KINDS } as const;
  for (const [name, values] of Object.entries(known)) {
    const asked = description[name as keyof typeof known];
    if (values.some((value) => value === asked)) continue;
    throw new EkkoError(
      'bad-format',
      `${origin} asks for ${name} ${JSON.stringify(asked)}; this Ekko knows ${values.join(' and ')}.`,
    );
  }
  if (typeof mac !== 'string' || !/^[0-9a-f]{32}$/.test(String(description.vault))) {
    throw new EkkoError('bad-format', `${origin} is not a complete vault description.`);
  }
  const epoch = keyEpoch(description.epoch, `The key epoch of ${origin}`);
  const lock = description.lock === undefined ? {} : { lock: readLock(description.lock, `The lock of ${origin}`) };
  if (epoch.number === 1) return { description: { ...description, ...lock, epoch }, mac };
  throw new EkkoError('bad-format', `${origin} holds key epoch ${epoch.number}; a vault begins with epoch 1.`);
}

/** Throws `damaged` when the description is not the one that was written by the holder of the root key. */
export function checkDescription(keys: EpochKeys, description: VaultDescription, mac: string, origin: string): void {
  if (isMac(keys, inOrder(description), mac)) return;
  throw new EkkoError(
    'damaged',
    `${origin} was changed after it was written. Restore it from a copy of the vault; do not back up into it.`,
  );
}

/** The field order that the MAC is made over. */
function inOrder(description: VaultDescription): VaultDescription {
  const { format, vault, segmentSize, pageSpan, suite, journal, lock, epoch } = description;
  const locked = lock === undefined ? {} : { lock: { mode: lock.mode, days: lock.days } };
  return { format, vault, segmentSize, pageSpan, suite, journal, ...locked, epoch: keyEpoch(epoch, 'The key epoch') };
}

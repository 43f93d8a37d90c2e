import { EkkoError } from '../errors.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { parseJson } from './bytes.ts';
import { integer, optional, readFields, text, vaultId } from './fields.ts';
import { type KeyEpoch, keyEpoch } from './key-epoch.ts';
import { isMac, macOf } from './key-mac.ts';

/**
 * A key object: what `vault.json` is to the first key epoch, a later one has in `keys/` (`docs/format.md`, "Key objects"). It lies
 * beside the journal, in the clear but for what it seals, because the journal can be read only by those who have opened it.
 */
export interface EpochDescription {
  readonly format: 1;
  /** The vault's id. */
  readonly vault: string;
  /** Position of the journal entry that begins the epoch with this object; undefined: it adds recipients to an epoch that has begun. */
  readonly start?: number;
  readonly epoch: KeyEpoch;
}

/** As read, not yet authenticated: see `isAuthentic`. */
export interface ReadEpochDescription {
  readonly description: EpochDescription;
  readonly mac: string;
}

/** 1.5 MiB: the longest list of earlier root keys, in base64 of base64, and some room. */
export const LARGEST_EPOCH_DESCRIPTION = 1536 * 1024;

/** The object's bytes: JSON for people, with a MAC under the epoch's journal key. */
export function encodeEpochDescription(keys: EpochKeys, description: EpochDescription): Buffer {
  const ordered = inOrder(description);
  return Buffer.from(`${JSON.stringify({ ...ordered, mac: macOf(keys, ordered) }, null, 2)}\n`);
}

/** Throws `bad-format`. */
export function decodeEpochDescription(bytes: Uint8Array, origin: string): ReadEpochDescription {
  if (bytes.length > LARGEST_EPOCH_DESCRIPTION) {
    throw new EkkoError('bad-format', `${origin} has ${bytes.length} bytes; that is no key object.`);
  }
  return readFields(parseJson(bytes, origin), origin, (field) => {
    const format = field('format', integer(Number.MAX_SAFE_INTEGER));
    if (format !== 1) throw new EkkoError('bad-format', `${origin} is of format ${format}; this Ekko reads format 1.`);
    const vault = field('vault', vaultId);
    const start = field('start', optional(integer(Number.MAX_SAFE_INTEGER)));
    const description = inOrder({
      format,
      vault,
      ...(start === undefined ? {} : { start }),
      epoch: field('epoch', keyEpoch),
    });
    return { description, mac: field('mac', text(64)) };
  });
}

/** Whether the holder of the epoch's root key wrote it. */
export function isAuthentic(keys: EpochKeys, { description, mac }: ReadEpochDescription): boolean {
  return isMac(keys, inOrder(description), mac);
}

function inOrder({ format, vault, start, epoch }: EpochDescription): EpochDescription {
  return { format, vault, ...(start === undefined ? {} : { start }), epoch: keyEpoch(epoch, 'The key epoch') };
}

import { constants, type ZstdOptions, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { EkkoError } from '../errors.ts';

/** How the bytes of a frame or record are coded. */
export const Codec = { raw: 0, zstd: 1 } as const;

export interface Coded {
  readonly codec: number;
  readonly bytes: Uint8Array;
}

/** A frame. What lies in a window as large is never out of reach: zstd need not look, is 4 % faster, and finds more. */
const WINDOW_LOG = 20;

/** Settings of zstd for `length` bytes at once. */
export function zstdSettings(length: number, level: number): ZstdOptions {
  return {
    // One output buffer that surely suffices: the default of 16 KiB costs half the speed.
    chunkSize: length + (length >>> 7) + 1024,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: WINDOW_LOG },
  };
}

/** zstd (RFC 8878) where that makes it shorter, else the bytes themselves. Level 1-3. */
export function encode(plain: Uint8Array, level: number): Coded {
  const packed = zstdCompressSync(plain, zstdSettings(plain.length, level));
  return packed.length < plain.length ? { codec: Codec.zstd, bytes: packed } : { codec: Codec.raw, bytes: plain };
}

/** The `length` bytes that were encoded. Throws `bad-format` when they are not that many: a length is never trusted. */
export function decode(coded: Coded, length: number, origin: string): Buffer {
  const plain = decodeAtMost(coded, length, origin);
  if (plain.length === length) return plain;
  throw new EkkoError('bad-format', `${origin} decodes to ${plain.length} bytes, expected ${length}.`);
}

function decodeAtMost(coded: Coded, length: number, origin: string): Buffer {
  if (coded.codec === Codec.raw) {
    return Buffer.from(coded.bytes.buffer, coded.bytes.byteOffset, coded.bytes.byteLength);
  }
  if (coded.codec !== Codec.zstd) throw new EkkoError('bad-format', `${origin} has unknown codec ${coded.codec}.`);
  try {
    return zstdDecompressSync(coded.bytes, { chunkSize: Math.max(length, 64), maxOutputLength: Math.max(length, 1) });
  } catch (cause) {
    throw new EkkoError('bad-format', `${origin} is not zstd of ${length} bytes.`, { cause });
  }
}

import { EkkoError } from '../errors.ts';
import { ByteReader, u32Bytes } from '../format/bytes.ts';
import {
  carriedSegments,
  decodeHeader,
  encodeHeader,
  HEADER_READ_SIZE,
  type StagedPartWriter,
} from '../format/staged-part.ts';
import { FRAME_SIZE, SEGMENT_SIZE } from '../words.ts';
import type { OpenedPart } from './open-part.ts';

/**
 * A staged part in memory that threads of one process share: magic, u32 length of the header, header, data, none of it sealed. Key and
 * content lie in that process anyway; a seal between its threads would cost twice the encryption of all that is backed up, and protect
 * nothing. It never lies in a store: there `openPart` takes sealed parts only.
 */
const MAGIC = Buffer.from('EKKOPRTM', 'latin1');
const PREFIX_SIZE = MAGIC.length + 4;

/** Whether bytes lie in memory that threads share: nobody but this process can have written them. */
export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}

/** Builds one part, as `newStagedPart` does, with its data in `memory`. */
export function newPartInMemory(memory: Uint8Array): StagedPartWriter {
  const target = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  let used = 0;
  return {
    addData(bytes) {
      if (used + bytes.length > target.length)
        throw new RangeError(`A staged part outgrows the ${target.length} bytes that were meant for it.`);
      // A copy; `set` goes byte by byte where memory is shared between threads, at a third of the speed.
      if (bytes.length > 0) target.subarray(used, used + bytes.length).fill(bytes);
      used += bytes.length;
    },
    finish(header) {
      const encoded = encodeHeader(header);
      return [Buffer.concat([MAGIC, u32Bytes([encoded.length]), encoded]), memory.subarray(0, used)];
    },
  };
}

/** Whether `bytes`, the beginning of an object, begin a part in memory. */
export function isPartInMemory(bytes: Buffer): boolean {
  return isShared(bytes) && bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

/** The part that `bytes` are. Its chunks are views of them, and so are the ids in its header. Throws `bad-format`, `part-refused`, `damaged`. */
export function openPartInMemory(bytes: Buffer, origin: string): OpenedPart {
  const reader = new ByteReader(bytes.subarray(MAGIC.length, PREFIX_SIZE), origin);
  const start = PREFIX_SIZE + reader.count(HEADER_READ_SIZE, 'bytes of header');
  const header = decodeHeader(bytes.subarray(PREFIX_SIZE, start), origin);
  const data = bytes.subarray(start);
  const expected = carriedSegments(header.runs) * SEGMENT_SIZE;
  if (data.length !== expected)
    throw new EkkoError('damaged', `${origin} holds ${data.length} bytes of data where ${expected} should be.`);
  return {
    header,
    async *chunks() {
      for (let at = 0; at < data.length; at += FRAME_SIZE) yield data.subarray(at, at + FRAME_SIZE);
    },
    close: () => undefined,
  };
}

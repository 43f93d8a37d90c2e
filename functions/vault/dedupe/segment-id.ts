import { createHmac } from 'node:crypto';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { SEGMENT_SIZE } from '../words.ts';

/** The id of one segment: HMAC-SHA-256 (RFC 2104) of its SEGMENT_SIZE bytes, 32 bytes. A disk's short last segment is padded with zeros first. */
export function segmentId(keys: Pick<EpochKeys, 'idKey'>, bytes: Uint8Array): Buffer {
  return createHmac('sha256', keys.idKey).update(bytes).digest();
}

const ZEROS = Buffer.alloc(SEGMENT_SIZE);

/** Whether all of `bytes` (at most one segment) are zero. Stops at the first that is not. */
export function isZero(bytes: Uint8Array): boolean {
  return ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

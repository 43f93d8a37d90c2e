import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdCompressSync } from 'node:zlib';
import { zstdSettings } from '#vault/format/compression.ts';
import { release, releaseWhole } from '#vault/memory.ts';
import { FRAME_SIZE, SEGMENT_SIZE } from '#vault/words.ts';
import type { LoopMemory, Round } from './bare-loop.ts';

const { frames, next } = workerData as LoopMemory;
const counter = new Int32Array(next);
const newKey = () => createSecretKey(randomBytes(32));
const [stagingKey, idKey, packKey] = [newKey(), newKey(), newKey()];
const NONCE = Buffer.alloc(12);
const COMPRESSION = zstdSettings(FRAME_SIZE, 1);

parentPort?.on('message', ({ frames: count }: Round) => {
  const pack = createHash('sha256');
  for (let i = Atomics.add(counter, 0, 1); i < count; i = Atomics.add(counter, 0, 1)) {
    processFrame(Buffer.from(frames, i * FRAME_SIZE, FRAME_SIZE), pack);
  }
  parentPort?.postMessage(pack.digest());
});

function processFrame(plain: Buffer, pack: ReturnType<typeof createHash>): void {
  const staged = seal(stagingKey, plain);
  const opened = open(stagingKey, staged);
  release(staged.sealed);
  for (let at = 0; at < FRAME_SIZE; at += SEGMENT_SIZE) {
    createHmac('sha256', idKey)
      .update(opened.subarray(at, at + SEGMENT_SIZE))
      .digest();
  }
  const compressed = zstdCompressSync(opened, COMPRESSION);
  release(opened);
  const { sealed } = seal(packKey, compressed);
  releaseWhole(compressed);
  pack.update(sealed);
  release(sealed);
}

interface Sealed {
  readonly sealed: Buffer;
  readonly tag: Buffer;
}

function seal(key: KeyObject, plain: Buffer): Sealed {
  const cipher = createCipheriv('aes-256-gcm', key, NONCE);
  const sealed = cipher.update(plain);
  cipher.final();
  return { sealed, tag: cipher.getAuthTag() };
}

function open(key: KeyObject, { sealed, tag }: Sealed): Buffer {
  const cipher = createDecipheriv('aes-256-gcm', key, NONCE).setAuthTag(tag);
  const plain = cipher.update(sealed);
  cipher.final();
  return plain;
}

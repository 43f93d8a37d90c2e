import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SEGMENT_SIZE } from '#vault/words.ts';

const SLICE = 2 ** 20;

/** A file in slices of 1 MiB; each is valid until the next is asked for. */
export async function* slicesOf(path: string): AsyncGenerator<Buffer> {
  await using file = await open(path, 'r');
  const buffer = Buffer.allocUnsafeSlow(SLICE);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, SLICE, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

export function* segmentsIn(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SEGMENT_SIZE) yield bytes.subarray(at, at + SEGMENT_SIZE);
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of slicesOf(path)) hash.update(bytes);
  return hash.digest('hex');
}

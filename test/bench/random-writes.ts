import { createCipheriv, createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** A write of incompressible bytes. */
export interface RandomWrite {
  readonly offset: number;
  readonly bytes: Buffer;
}

export const WRITE_SIZE = 4096;

/** Aligned 4 KiB writes all over a disk; the same for the same seed. */
export function randomWrites(seed: string, count: number, diskSize: number): RandomWrite[] {
  const places = Math.floor(diskSize / WRITE_SIZE);
  return Array.from({ length: count }, (_, i) => {
    const key = createHash('sha256').update(`${seed} ${i}`).digest();
    return { offset: (key.readUIntLE(0, 6) % places) * WRITE_SIZE, bytes: randomBytesOf(key, WRITE_SIZE) };
  });
}

/** Bytes that look random, of a 32-byte key. */
export function randomBytesOf(key: Buffer, length: number): Buffer {
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Writes into a raw image; resolves to what takes the writes back. */
export async function applyWrites(path: string, writes: readonly RandomWrite[]): Promise<() => Promise<void>> {
  const old = await readBlocks(path, writes);
  await writeBlocks(path, writes);
  return () => writeBlocks(path, old);
}

async function readBlocks(path: string, writes: readonly RandomWrite[]): Promise<RandomWrite[]> {
  await using file = await open(path, 'r');
  const blocks: RandomWrite[] = [];
  for (const { offset, bytes } of writes) {
    const block = Buffer.alloc(bytes.length);
    await file.read(block, 0, block.length, offset);
    blocks.push({ offset, bytes: block });
  }
  return blocks;
}

async function writeBlocks(path: string, writes: readonly RandomWrite[]): Promise<void> {
  await using file = await open(path, 'r+');
  for (const { offset, bytes } of writes) await file.write(bytes, 0, bytes.length, offset);
}

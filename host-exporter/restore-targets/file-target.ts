import { type FileHandle, open } from 'node:fs/promises';
import pLimit from 'p-limit';
import type { RestoreTarget, TargetHandle } from './restore-target.ts';
import { targetFailure } from './target-failure.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

/** A file or block device that exists and is large enough. Throws `target-failed`. */
export async function openFileTarget({ path, fresh }: TargetHandle): Promise<RestoreTarget> {
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw targetFailure(path, 'open', cause);
  });
  // The kernel lets one write into a file at a time; the others would spin meanwhile, at the cost of whoever computes.
  const oneAtATime = pLimit(1);
  const attempt = async (doing: string, step: () => Promise<void>) => {
    try {
      await step();
    } catch (cause) {
      throw targetFailure(path, doing, cause);
    }
  };
  return {
    write: (offset, bytes) => attempt('write', () => oneAtATime(() => writeAll(file, bytes, offset))),
    zero: (offset, length) =>
      attempt('write zeros to', () => (fresh ? Promise.resolve() : writeZeros(file, offset, length))),
    flush: () => attempt('flush', () => file.datasync()),
    close: () => file.close(),
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

async function writeZeros(file: FileHandle, offset: number, length: number): Promise<void> {
  for (let done = 0; done < length; done += ZEROS.length) {
    await writeAll(file, ZEROS.subarray(0, Math.min(ZEROS.length, length - done)), offset + done);
  }
}

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import pLimit from 'p-limit';
import { alignedMemories, BLOCK_SIZE } from '#vault/store/aligned-memory.ts';
import { systemCodeOf } from '#vault/store/system-errors.ts';
import type { RestoreTarget, TargetHandle } from './restore-target.ts';
import { targetFailure } from './target-failure.ts';

const ZEROS = Buffer.alloc(1024 * 1024);
/** The longest piece of a disk that is written at once. */
const LONGEST_WRITE = 1024 ** 2;
/** Less is left to the page cache, which joins it with its neighbours. */
const WORTH_DIRECT = 256 * 1024;
const DIRECT_AT_ONCE = 4;
const withMemory = alignedMemories(LONGEST_WRITE, DIRECT_AT_ONCE);

/** A file or block device that exists and is large enough. Throws `target-failed`. */
export async function openFileTarget({ path, fresh }: TargetHandle): Promise<RestoreTarget> {
  const file = await open(path, 'r+').catch((cause: unknown) => {
    throw targetFailure(path, 'open', cause);
  });
  const direct = await openDirect(path);
  let refused = direct === undefined;
  // The kernel lets one write into a file at a time; the others would spin meanwhile, at the cost of whoever computes.
  const oneAtATime = pLimit(1);
  const writeWhatCan = async (offset: number, bytes: Uint8Array): Promise<number> => {
    if (direct === undefined || refused) return 0;
    // What goes wrong here is said by an ordinary write.
    return writeDirectly(direct, bytes, offset).catch((error: unknown) => {
      refused ||= systemCodeOf(error) === 'EINVAL';
      return 0;
    });
  };
  const attempt = async (doing: string, step: () => Promise<void>) => {
    try {
      await step();
    } catch (cause) {
      throw targetFailure(path, doing, cause);
    }
  };
  return {
    write: (offset, bytes) =>
      attempt('write', async () => {
        const done = await writeWhatCan(offset, bytes);
        if (done < bytes.length) await oneAtATime(() => writeAll(file, bytes.subarray(done), offset + done));
      }),
    zero: (offset, length) =>
      attempt('write zeros to', () => (fresh ? Promise.resolve() : writeZeros(file, offset, length))),
    flush: () => attempt('flush', () => file.datasync()),
    close: async () => {
      const closed = await Promise.allSettled([direct?.close(), file.close()]);
      for (const one of closed) if (one.status === 'rejected') throw one.reason;
    },
  };
}

/** From memory to the device, past the page cache: half the CPU time of a restore would go into that. Undefined where it cannot be. */
async function openDirect(path: string): Promise<FileHandle | undefined> {
  const flag = constants.O_DIRECT as number | undefined;
  return flag === undefined ? undefined : open(path, constants.O_WRONLY | flag).catch(() => undefined);
}

/** Writes whole blocks as far as that can be done; says how many bytes. Throws the system's error. */
async function writeDirectly(file: FileHandle, bytes: Uint8Array, offset: number): Promise<number> {
  const length = Math.min(bytes.length - (bytes.length % BLOCK_SIZE), LONGEST_WRITE);
  if (length < WORTH_DIRECT || offset % BLOCK_SIZE !== 0) return 0;
  const written = await withMemory(async (memory) => {
    memory.set(bytes.subarray(0, length));
    return (await file.write(memory, 0, length, offset)).bytesWritten;
  });
  return written ?? 0;
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

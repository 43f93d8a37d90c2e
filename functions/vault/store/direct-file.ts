import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { constants as systemConstants } from 'node:os';
import { alignedMemories, BLOCK_SIZE } from './aligned-memory.ts';
import { systemCodeOf, tolerate } from './system-errors.ts';

/** Bytes of one write. */
const WINDOW = 4 * 1024 ** 2;
const MOST_AT_ONCE = 2;
const NO_SPACE = { code: 'ENOSPC', errno: -systemConstants.errno.ENOSPC };
const withMemory = alignedMemories(WINDOW, MOST_AT_ONCE);

/**
 * Writes `pieces`, one behind the other, as a new file, from memory to the device and past the page cache; durable when it resolves.
 * False where the file system cannot, or memory for it cannot be had; then there is no file. Throws the system's error, and leaves the file.
 */
export async function writeNewFileDirectly(path: string, pieces: readonly Uint8Array[]): Promise<boolean> {
  // Not every system has it.
  if ((constants.O_DIRECT as number | undefined) === undefined) return false;
  return (await withMemory((memory) => writeThrough(memory, path, pieces))) ?? false;
}

async function writeThrough(memory: Buffer, path: string, pieces: readonly Uint8Array[]): Promise<boolean> {
  const { O_DIRECT, O_WRONLY, O_CREAT, O_EXCL } = constants;
  let file: FileHandle | undefined;
  try {
    file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_DIRECT);
    await writeDirectly(file, pieces, memory);
    await file.datasync();
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'EINVAL') throw error;
    // Refused after the file was made, or with the first write.
    await tolerate(unlink(path), 'ENOENT');
    return false;
  } finally {
    await file?.close();
  }
}

async function writeDirectly(file: FileHandle, pieces: readonly Uint8Array[], memory: Buffer): Promise<void> {
  let at = 0;
  for (const filled of windowsOf(pieces, memory)) {
    const whole = Math.ceil(filled / BLOCK_SIZE) * BLOCK_SIZE;
    memory.fill(0, filled, whole);
    await writeBlocks(file, memory.subarray(0, whole), at);
    at += filled;
  }
  if (at % BLOCK_SIZE !== 0) await file.truncate(at);
}

/** Fills `window` with what comes next, and tells how far; again until nothing is left. All but the last time it is full. */
function* windowsOf(pieces: readonly Uint8Array[], window: Uint8Array): Generator<number> {
  let filled = 0;
  for (const piece of pieces) {
    for (let done = 0; done < piece.length; ) {
      const part = piece.subarray(done, done + window.length - filled);
      window.set(part, filled);
      filled += part.length;
      done += part.length;
      if (filled < window.length) continue;
      yield filled;
      filled = 0;
    }
  }
  if (filled > 0) yield filled;
}

/** A write that was cut short is gone on with at a block's border. */
async function writeBlocks(file: FileHandle, blocks: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < blocks.length; ) {
    const { bytesWritten } = await file.write(blocks, done, blocks.length - done, offset + done);
    if (bytesWritten < BLOCK_SIZE) throw Object.assign(new Error('No room is left for a block.'), NO_SPACE);
    done += bytesWritten - (bytesWritten % BLOCK_SIZE);
  }
}

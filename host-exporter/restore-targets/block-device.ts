import { readFile, stat } from 'node:fs/promises';
import type { PreparedTarget, TargetRequest } from './restore-target.ts';
import { refuseTarget, targetFailure } from './target-failure.ts';

/** The kernel counts devices in sectors of 512 bytes, whatever their own sectors are. */
const SECTOR = 512;

/**
 * A block device, at least as large as the disk. What it holds is unknown, so zeros are written too; what lies behind the disk's end
 * is left alone. Throws `target-failed`: not a block device, too small, or `new` (a device always exists).
 */
export async function prepareBlockDevice({ path, size, mode }: TargetRequest): Promise<PreparedTarget> {
  const found = await sizeOfDevice(path);
  if (found < size) {
    throw refuseTarget(path, `has ${found} bytes, the disk needs ${size}`, 'Choose a device that is large enough.');
  }
  if (mode === 'new') {
    throw refuseTarget(path, 'is a device, whose content would be lost', 'Say that it may be overwritten.');
  }
  return { handle: { kind: 'file', path, fresh: false }, finish: async () => {}, abandon: async () => {} };
}

/** Bytes of a block device. Throws `target-failed`. */
export async function sizeOfDevice(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => {
    throw targetFailure(path, 'open', cause);
  });
  if (!found.isBlockDevice()) throw refuseTarget(path, 'is not a block device', 'Check the path.');
  const { major, minor } = numbersOf(found.rdev);
  try {
    return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * SECTOR;
  } catch (cause) {
    throw targetFailure(path, 'find the size of', cause);
  }
}

/** Linux' encoding of a device number (`gnu_dev_major`, `gnu_dev_minor`); majors beyond 12 bits do not exist. */
function numbersOf(rdev: number): { major: number; minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

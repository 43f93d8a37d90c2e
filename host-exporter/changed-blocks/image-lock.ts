import { type FileHandle, readFile } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import type { FileIdentity } from '../qemu/file-identity.ts';
import { deviceNumber } from './device-number.ts';

/** QEMU locks byte 100 + n of an image for permission n that it uses; 0 is reading, 1 writing (QEMU's block/file-posix.c). */
const READER_BYTE = 100;
const WRITER_BYTE = 101;
const OFD_LOCK = /^\d+: OFDLCK\s+\S+\s+\S+\s+\S+\s+([0-9a-f]+:[0-9a-f]+:\d+)\s+(\d+)\s+(\d+|EOF)$/;

/** True when a QEMU on this host has the file open for writing. A reader of a raw image would not be refused. */
export async function isWrittenByQemu(handle: FileHandle): Promise<boolean> {
  const { dev, ino } = await handle.stat({ bigint: true });
  return isLocked(dev, ino, WRITER_BYTE);
}

/** True when a QEMU on this host has the file open as an image, if only to read it. */
export function isReadByQemu({ device, inode }: Pick<FileIdentity, 'device' | 'inode'>): Promise<boolean> {
  return isLocked(BigInt(device), BigInt(inode), READER_BYTE);
}

async function isLocked(device: bigint, inode: bigint, byte: number): Promise<boolean> {
  const { major, minor } = deviceNumber(device);
  const file = `${hex(major)}:${hex(minor)}:${inode}`;
  // Where the kernel does not show its locks nothing can be said.
  const locks = await readFile('/proc/locks', 'latin1').catch(() => '');
  return locks.split('\n').some((line) => {
    const [, where, start, end] = OFD_LOCK.exec(line) ?? [];
    if (where !== file) return false;
    return Number(start) <= byte && (end === 'EOF' || Number(end) >= byte);
  });
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

/** The error for an image that a guest is using. */
export function imageInUse(path: string, found: string): EkkoError {
  return new EkkoError(
    'busy',
    `${path} is in use by a running QEMU (${found}): protect it through that guest's monitor with --qmp, or stop the guest.`,
  );
}

/** The error for a QEMU tool that could not open an image, by what it said: `busy` when another QEMU has it. */
export function imageFailure(tool: string, path: string, complaint: string): EkkoError {
  const said = complaint.trim();
  if (/Failed to get .*lock/.test(said)) return imageInUse(path, said);
  return new EkkoError('qemu-failed', `${tool} failed on ${path}: ${said || 'no reason given'}`);
}

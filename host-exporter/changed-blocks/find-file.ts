import { type FileHandle, open, readFile } from 'node:fs/promises';
import { parse, resolve } from 'node:path';
import { EkkoError } from '#vault/errors.ts';
import { LARGEST_DISK } from '#vault/words.ts';
import { viewOf } from '../qemu/nbd-protocol.ts';
import { deviceNumber } from './device-number.ts';
import type { FoundFile } from './held-file.ts';

/** A file or block device to protect. */
export interface FileChoice {
  readonly path: string;
  /** Decides lineage; by default the file's name without extension. */
  readonly name?: string;
  /** By default: qcow2 for a file that begins as one and names no other file, raw otherwise. */
  readonly format?: 'raw' | 'qcow2';
  /** What was read is compared with a digest in the end: a raw file that seems to have been written to is read on. */
  readonly checkedLater?: boolean;
}

const QCOW2_MAGIC = 0x514649fb;
const EXTERNAL_DATA_FILE = 4n;
const SECTOR = 512;

/** Finds out what lies at a path. Throws `disk-unknown` when nothing does, `bad-input` when it is no disk. */
export async function findFile({ path: given, name, format, checkedLater = false }: FileChoice): Promise<FoundFile> {
  const path = resolve(given);
  const handle = await openDisk(path);
  try {
    const { size, isDevice } = await measure(handle, path);
    const header = await readHeader(handle);
    const kind = format ?? (isDevice ? 'raw' : probe(header, path));
    const virtualSize = kind === 'qcow2' ? qcow2Size(header, path) : size;
    if (virtualSize === 0 || virtualSize > LARGEST_DISK) {
      throw new EkkoError('bad-input', `${path} has ${virtualSize} bytes: a disk has 1 to ${LARGEST_DISK}`);
    }
    const disk = { name: name ?? parse(path).name, size: virtualSize, origin: path };
    return { disk, path, format: kind, checkedLater };
  } finally {
    await handle.close();
  }
}

/** Opens a file or device for reading. Throws `disk-unknown`. */
export async function openDisk(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new EkkoError('disk-unknown', `${path} cannot be opened for reading: ${String(cause)}`, { cause });
  }
}

/** Size in bytes of an open file or block device. */
export async function measure(handle: FileHandle, path: string): Promise<{ size: number; isDevice: boolean }> {
  const status = await handle.stat({ bigint: true });
  if (status.isFile()) return { size: Number(status.size), isDevice: false };
  if (status.isBlockDevice()) return { size: await deviceSize(status.rdev), isDevice: true };
  throw new EkkoError('bad-input', `${path} is neither a file nor a block device`);
}

/** stat gives devices no size; the kernel shows it in sysfs, in sectors of 512 bytes whatever the device's own are. */
async function deviceSize(device: bigint): Promise<number> {
  const { major, minor } = deviceNumber(device);
  return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'latin1')) * SECTOR;
}

/** The first bytes, with zeros after the end of a shorter file. */
async function readHeader(handle: FileHandle): Promise<DataView> {
  const bytes = new Uint8Array(104);
  await handle.read(bytes, 0, bytes.length, 0);
  return viewOf(bytes);
}

/**
 * A guest can write what it likes to a raw disk, also a qcow2 header that names a file of the host as its backing file. So an image
 * that names other files is opened as qcow2 only when told to.
 */
function probe(header: DataView, path: string): 'raw' | 'qcow2' {
  if (header.getUint32(0) !== QCOW2_MAGIC) return 'raw';
  const namesBacking = header.getBigUint64(8) !== 0n;
  const namesData = header.getUint32(4) >= 3 && (header.getBigUint64(72) & EXTERNAL_DATA_FILE) !== 0n;
  if (!namesBacking && !namesData) return 'qcow2';
  throw new EkkoError(
    'bad-input',
    `${path} begins like a qcow2 image that names another file, which a guest could have written there: say format qcow2 or raw.`,
  );
}

function qcow2Size(header: DataView, path: string): number {
  if (header.getUint32(0) === QCOW2_MAGIC) return Number(header.getBigUint64(24));
  throw new EkkoError('bad-format', `${path} is no qcow2 image: it does not begin as one`);
}

import type { Stats } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EkkoError } from '#vault/errors.ts';
import type { PointDisk } from '#vault/format/point.ts';
import { plainText } from '../text/plain-text.ts';

/** A disk, and where it goes. */
export interface DiskTarget {
  readonly disk: PointDisk;
  readonly kind: 'raw' | 'qcow2' | 'device';
  /** Absolute. */
  readonly path: string;
}

/**
 * Where each disk goes. One disk: to the file or block device `target`, or into it where it is a folder. Several: each to
 * `<name>.raw` or `<name>.qcow2` in the folder `target`, which is made. Without `format` a file that ends in `.qcow2` becomes one.
 * Throws `bad-input`.
 */
export async function chooseTargets(
  disks: readonly PointDisk[],
  target: string,
  format: 'raw' | 'qcow2' | undefined,
): Promise<DiskTarget[]> {
  const path = resolve(target);
  const found = await lookAt(path);
  const [only] = disks;
  const wantsFolder = disks.length > 1 || target.endsWith('/') || found?.isDirectory() === true;
  if (only !== undefined && !wantsFolder) return [oneTarget(only, path, found, format)];
  if (found !== undefined && !found.isDirectory()) {
    const names = disks.map(({ name }) => plainText(name, 40)).join(', ');
    throw new EkkoError(
      'bad-input',
      `${path} is no folder, and the point has ${disks.length} disks (${plainText(names, 300)}): name a folder, or one disk as POINT/DISK.`,
    );
  }
  await makeFolder(path);
  const kind = format ?? 'raw';
  return disks.map((disk) => ({ disk, kind, path: join(path, `${fileNameOf(disk.name)}.${kind}`) }));
}

function oneTarget(
  disk: PointDisk,
  path: string,
  found: Stats | undefined,
  format: 'raw' | 'qcow2' | undefined,
): DiskTarget {
  if (found?.isBlockDevice()) {
    if (format !== 'qcow2') return { disk, kind: 'device', path };
    throw new EkkoError('bad-input', `${path} is a block device, which takes the disk raw: leave --format out.`);
  }
  return { disk, kind: format ?? (/\.qcow2$/i.test(path) ? 'qcow2' : 'raw'), path };
}

/** File systems allow 255 bytes; the suffix and the state file's name need some. */
const LONGEST_NAME = 200;

/** A disk's name as the name of a file. Names come from the vault: none may lead out of the folder, or hide in it. Different names stay so. */
export function fileNameOf(name: string): string {
  const safe = name.toWellFormed().replace(/^[.-]|[^\w.+@ -]| $/gu, percentCoded);
  if (safe !== '' && safe.length <= LONGEST_NAME) return safe;
  throw new EkkoError(
    'bad-input',
    `Disk "${plainText(name, 40)}" has a name that no file can have. Restore it by itself, as POINT/DISK to a file.`,
  );
}

function percentCoded(odd: string): string {
  return [...Buffer.from(odd)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new EkkoError('target-failed', `${path} cannot be looked at: ${String(cause)}.`, { cause });
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new EkkoError('target-failed', `Folder ${path} cannot be made: ${String(cause)}.`, { cause });
  }
}

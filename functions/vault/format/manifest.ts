import { EkkoError } from '../errors.ts';
import { LARGEST_DISK, PAGE_SPAN } from '../words.ts';
import { ByteReader, u32Bytes, u64Bytes } from './bytes.ts';

/** The pages of one disk at one point in time (`docs/format.md`, "Manifests"). */
export interface Manifest {
  /** Bytes. */
  readonly diskSize: number;
  /** Names of the disk's pages in order; undefined where the whole span is zero. */
  readonly pages: readonly (string | undefined)[];
}

const NAME_SIZE = 32;
const NO_PAGE = Buffer.alloc(NAME_SIZE);

export function pagesOf(diskSize: number): number {
  return Math.ceil(diskSize / PAGE_SPAN);
}

/** u64 disk size, u32 pages, then a 32-byte page name each; zeros where the span is zero. */
export function encodeManifest(manifest: Manifest): Buffer {
  checkDiskSize(manifest.diskSize, 'The manifest');
  const names = manifest.pages.map((name) => (name === undefined ? NO_PAGE : Buffer.from(name, 'hex')));
  return Buffer.concat([u64Bytes(manifest.diskSize), u32Bytes([names.length]), ...names]);
}

/** Throws `bad-format`. */
export function decodeManifest(body: Uint8Array, origin: string): Manifest {
  const reader = new ByteReader(body, origin);
  const diskSize = checkDiskSize(reader.u64(), origin);
  const count = reader.u32();
  if (count !== pagesOf(diskSize)) throw reader.refuse(`lists ${count} pages for a disk of ${diskSize} bytes`);
  const pages = Array.from({ length: count }, () => {
    const name = reader.take(NAME_SIZE);
    return name.equals(NO_PAGE) ? undefined : name.toString('hex');
  });
  reader.end();
  return { diskSize, pages };
}

/** A disk's size in bytes, or `bad-format`: sizes come from untrusted places. */
export function checkDiskSize(size: number, origin: string): number {
  if (Number.isSafeInteger(size) && size > 0 && size <= LARGEST_DISK) return size;
  throw new EkkoError('bad-format', `${origin} gives a disk of ${size} bytes; 1 byte to ${LARGEST_DISK} are allowed.`);
}

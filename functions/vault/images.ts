/**
 * Base images as disks of a vault: what many servers' disks were built on, backed up once (`docs/decisions/0022-base-images.md`). An image is
 * called by a digest of its content, so that one name means the same bytes to every exporter and every vault.
 */
import { createHash } from 'node:crypto';
import { isZero } from './dedupe/segment-id.ts';
import { u32Bytes, u64Bytes } from './format/bytes.ts';
import type { VaultState } from './journal/state.ts';
import { SEGMENT_SIZE } from './words.ts';

/** An image that the vault has. */
export interface KnownImage {
  /** Of its disk, and of the group that its restore point is alone in. */
  readonly name: string;
  /** The restore point that holds it, by run. */
  readonly point: string;
  /** Bytes. */
  readonly size: number;
  readonly manifest: string;
}

const PREFIX = 'image/';
const NAME = /^image\/([0-9a-f]{64})$/;

/** The name of the image with this digest: of its disk, and of the group of its restore points. */
export function imageName(digest: string): string {
  return PREFIX + digest;
}

/** The digest in a disk's name, or undefined where the disk is no image. */
export function digestInName(disk: string): string | undefined {
  return NAME.exec(disk)?.[1];
}

/** The newest restore point's state of an image, or undefined where the vault does not have it. */
export function knownImage(state: Pick<VaultState, 'points'>, digest: string): KnownImage | undefined {
  const name = imageName(digest);
  const point = [...state.points.values()].findLast(({ disks }) => disks.some((disk) => disk.name === name));
  const disk = point?.disks.find((one) => one.name === name);
  return point && disk && { name, point: point.run, size: disk.size, manifest: disk.manifest };
}

/** Computes an image's digest from its segments, in ascending order; all-zero ones may be left out (`docs/format.md`, "Images"). */
export interface ImageDigest {
  /** `bytes`: the segment, or less of it: it is padded with zeros. */
  add(segment: number, bytes: Uint8Array): void;
  /** 64 hex digits. Call once, last. */
  finish(): string;
}

/** Of an image of `size` bytes. */
export function newImageDigest(size: number): ImageDigest {
  const whole = createHash('sha256').update('ekko/1 image\0').update(u64Bytes(size));
  return {
    add(segment, bytes) {
      if (isZero(bytes)) return;
      const padding = Buffer.alloc(SEGMENT_SIZE - bytes.length);
      whole.update(u32Bytes([segment])).update(createHash('sha256').update(bytes).update(padding).digest());
    },
    finish: () => whole.digest('hex'),
  };
}

import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';

/** The disk in a qcow2 image without compression, snapshots or backing file, as a guest sees it. */
export function guestView(qcow2: Buffer): Buffer {
  const disk = Buffer.alloc(Number(qcow2.readBigUInt64BE(24)));
  const l1At = Number(qcow2.readBigUInt64BE(40));
  const offsetAt = (at: number) => Number(qcow2.readBigUInt64BE(at) & ((1n << 56n) - 1n));
  for (let segment = 0; segment < segmentsOf(disk.length); segment++) {
    const l2At = offsetAt(l1At + Math.floor(segment / 8192) * 8);
    const at = l2At === 0 ? 0 : offsetAt(l2At + (segment % 8192) * 8);
    if (at !== 0) qcow2.copy(disk, segment * SEGMENT_SIZE, at, at + SEGMENT_SIZE);
  }
  return disk;
}

import { EkkoError } from '../errors.ts';
import { SEGMENT_SIZE } from '../words.ts';
import type { DiskPlan } from './changed-block-source.ts';

/** Most bytes of one read: more gains nothing, and costs memory. */
const LARGEST_READ = 2 * 1024 * 1024;

/** How many of the bytes asked for lie within the disk; the rest read as zeros. Throws `disk-unknown`, `bad-input`. */
export function bytesInside(plan: DiskPlan | undefined, offset: number, length: number, into: Uint8Array): number {
  if (!plan) throw new EkkoError('disk-unknown', 'The moment has no disk of that number');
  const { name, size } = plan.disk;
  const whole = Number.isSafeInteger(offset) && offset >= 0 && offset % SEGMENT_SIZE === 0 && Number.isInteger(length);
  if (!whole || length <= 0 || length > LARGEST_READ || length > into.length) {
    throw new EkkoError('bad-input', `Read of ${length} bytes at ${offset} of disk ${name} into ${into.length} bytes`);
  }
  return Math.max(0, Math.min(length, size - offset));
}

import { EkkoError } from '#vault/errors.ts';
import { SEGMENT_SIZE, type SegmentRun, segmentsOf } from '#vault/words.ts';
import { type NbdClient, STATUS_DIRTY, STATUS_ZERO } from '../qemu/nbd-client.ts';
import type { DiskPlan, FullReason, SourceDisk } from './changed-block-source.ts';
import { closeGaps, createRunBuilder, intersect, sample, subtract } from './segment-runs.ts';

export const ALLOCATION_CONTEXT = 'base:allocation';

export interface AuditSettings {
  /** Share of the clean, non-zero segments to read again, 0-1. */
  readonly share: number;
  readonly mostSegments: number;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
}

/** Bytes asked for at once: large enough for few requests, small enough to bound an answer's extents. */
const STATUS_SPAN = 4 * 1024 ** 3;
/** Clean segments between two dirty runs that are cheaper to ask about than to leave out: 64 MiB. */
const GAP_SEGMENTS = 1024;

/** The plan of a full read: all that is not known to be zero. `allocation` must have negotiated `base:allocation`. */
export async function planFull(disk: SourceDisk, allocation: NbdClient, fullReason: FullReason): Promise<DiskPlan> {
  checkSize(disk, allocation);
  const all = [{ first: 0, count: segmentsOf(disk.size) }];
  const data = await nonZero(allocation, disk, all);
  return { disk, base: undefined, fullReason, data, zero: subtract(all, data), audit: [] };
}

/**
 * The plan of an incremental read: what is dirty, and of that, what is not known to be zero (mkfs and discards dirty much that is).
 * `allocation` must have negotiated `base:allocation`, `changes` the context `dirtyContext`.
 */
export async function planChanges(
  disk: SourceDisk,
  base: string,
  clients: { readonly allocation: NbdClient; readonly changes: NbdClient; readonly dirtyContext: string },
  audit: AuditSettings,
): Promise<DiskPlan> {
  const { allocation, changes, dirtyContext } = clients;
  checkSize(disk, allocation);
  const all = [{ first: 0, count: segmentsOf(disk.size) }];
  const dirty = await touched(changes, disk, all, dirtyContext, (flags) => (flags & STATUS_DIRTY) !== 0);
  // Asking about the whole disk makes QEMU read all of its mapping tables: only done where the audit needs it.
  const windows = audit.share > 0 ? all : closeGaps(dirty, GAP_SEGMENTS);
  const present = await nonZero(allocation, disk, windows);
  const data = intersect(dirty, present);
  const clean = audit.share > 0 ? subtract(present, dirty) : [];
  return {
    disk,
    base,
    fullReason: undefined,
    data,
    zero: subtract(dirty, data),
    audit: sample(clean, audit.share, audit.mostSegments, audit.random),
  };
}

function nonZero(client: NbdClient, disk: SourceDisk, windows: readonly SegmentRun[]): Promise<readonly SegmentRun[]> {
  return touched(client, disk, windows, ALLOCATION_CONTEXT, (flags) => (flags & STATUS_ZERO) === 0);
}

/** The segments within `windows` of which any byte has a status that `wanted` accepts. */
async function touched(
  client: NbdClient,
  disk: SourceDisk,
  windows: readonly SegmentRun[],
  context: string,
  wanted: (flags: number) => boolean,
): Promise<readonly SegmentRun[]> {
  const builder = createRunBuilder();
  for (const { offset, length } of spansOf(windows, disk.size)) {
    let at = offset;
    for (const extent of await client.blockStatus(context, offset, length)) {
      if (wanted(extent.flags)) builder.add(at, extent.length);
      at += extent.length;
    }
  }
  return builder.runs;
}

function* spansOf(windows: readonly SegmentRun[], size: number): Generator<{ offset: number; length: number }> {
  for (const { first, count } of windows) {
    const end = Math.min(size, (first + count) * SEGMENT_SIZE);
    for (let offset = first * SEGMENT_SIZE; offset < end; offset += STATUS_SPAN) {
      yield { offset, length: Math.min(STATUS_SPAN, end - offset) };
    }
  }
}

function checkSize(disk: SourceDisk, client: NbdClient): void {
  if (client.size === disk.size) return;
  throw new EkkoError(
    'qemu-failed',
    `Disk ${disk.name} (${disk.origin}) has ${disk.size} bytes, its export ${client.size}: it was resized meanwhile. Start the run again.`,
  );
}

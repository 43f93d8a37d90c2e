import { EkkoError } from '#vault/errors.ts';
import type { DiskPlan, FullReason, SourceDisk } from '#vault/staging/changed-block-source.ts';
import {
  closeGaps,
  countSegments,
  createRunBuilder,
  intersect,
  sample,
  subtract,
  unite,
} from '#vault/staging/segment-runs.ts';
import { SEGMENT_SIZE, type SegmentRun, segmentsOf } from '#vault/words.ts';
import { type NbdClient, STATUS_DIRTY, STATUS_ZERO } from '../qemu/nbd-client.ts';
import type { NbdExtent } from '../qemu/nbd-replies.ts';
import { auditStretches } from './audit-stretches.ts';
import type { ImageBase } from './image-base.ts';

export const ALLOCATION_CONTEXT = 'base:allocation';
/** Which image of the chain each part of a disk lies in: 1 is the one that is exported; 0: in none (QEMU docs/interop/nbd.txt). */
export const DEPTH_CONTEXT = 'qemu:allocation-depth';

export interface AuditSettings {
  /** Share of the clean, non-zero segments to read again, 0-1. */
  readonly share: number;
  readonly mostSegments: number;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
}

/** Bytes asked for at once: large enough for few requests, small enough to bound an answer's extents. */
const STATUS_SPAN = 4 * 1024 ** 3;
const ASKED_AT_ONCE = 8;
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
  return {
    disk,
    base,
    fullReason: undefined,
    ...(await listChanges(disk, allocation, dirty, segmentsOf(disk.size), audit)),
  };
}

/** What the images above the last of a disk's chain hold is read; the rest is the image that it was built on. */
export interface ImagePlan {
  readonly fullReason: FullReason;
  readonly base: Pick<ImageBase, 'point' | 'name' | 'size'>;
  /** Number of the image's own layer in the chain as exported, the first being 1. */
  readonly depth: number;
}

/**
 * The plan of a disk that counts from the image it was built on: what its own layers hold, zeros that hide the image too, and a sample of
 * the image's segments as the bitmap audit has it. `depths` must have negotiated `qemu:allocation-depth`, `allocation` `base:allocation`.
 */
export async function planOnImage(
  disk: SourceDisk,
  { fullReason, base, depth }: ImagePlan,
  clients: { readonly allocation: NbdClient; readonly depths: NbdClient },
  audit: AuditSettings,
): Promise<DiskPlan> {
  const { allocation, depths } = clients;
  checkSize(disk, allocation);
  checkSize(disk, depths);
  const all = [{ first: 0, count: segmentsOf(disk.size) }];
  // Whatever is not surely the image's, or nobody's, is taken for the disk's own.
  const own = await touched(depths, disk, all, DEPTH_CONTEXT, (flags) => flags !== 0 && flags !== depth);
  const listed = await listChanges(disk, allocation, own, segmentsOf(base.size), audit);
  return { disk, base: base.point, baseDisk: base.name, fullReason, ...listed };
}

/** `audited`: segments from the first that the base has. */
async function listChanges(
  disk: SourceDisk,
  allocation: NbdClient,
  dirty: readonly SegmentRun[],
  audited: number,
  audit: AuditSettings,
): Promise<Pick<DiskPlan, 'data' | 'zero' | 'audit'>> {
  // Asking about the whole disk makes QEMU read all of its mapping tables: the audit looks at parts of a large one.
  const stretches = audit.share > 0 ? auditStretches(audited, audit.random) : [];
  const present = await nonZero(allocation, disk, unite(closeGaps(dirty, GAP_SEGMENTS), stretches));
  const data = intersect(dirty, present);
  const clean = subtract(intersect(present, stretches), dirty);
  const share = Math.min(1, (audit.share * audited) / Math.max(1, countSegments(stretches)));
  return {
    data,
    zero: subtract(dirty, data),
    audit: sample(clean, share, audit.mostSegments, audit.random),
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
  for await (const { offset, extents } of statuses(client, context, spansOf(windows, disk.size))) {
    let at = offset;
    for (const extent of extents) {
      if (wanted(extent.flags)) builder.add(at, extent.length);
      at += extent.length;
    }
  }
  return builder.runs;
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

/** The status of each span, in order; a few are asked for at once. */
async function* statuses(client: NbdClient, context: string, spans: Iterable<Span>) {
  const asked: { readonly offset: number; readonly answer: Promise<readonly NbdExtent[]> }[] = [];
  for (const { offset, length } of spans) {
    const answer = client.blockStatus(context, offset, length);
    // Awaited in its turn; until then its failure must not count as unhandled.
    answer.catch(() => undefined);
    asked.push({ offset, answer });
    if (asked.length >= ASKED_AT_ONCE) yield* nextOf(asked);
  }
  while (asked.length > 0) yield* nextOf(asked);
}

async function* nextOf(asked: { readonly offset: number; readonly answer: Promise<readonly NbdExtent[]> }[]) {
  const next = asked.shift();
  if (next) yield { offset: next.offset, extents: await next.answer };
}

function* spansOf(windows: readonly SegmentRun[], size: number): Generator<Span> {
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

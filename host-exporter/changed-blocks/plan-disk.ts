import { EkkoError } from '#vault/errors.ts';
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
import type { DiskPlan, FullReason, SourceDisk } from './changed-block-source.ts';

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
  // Asking about the whole disk makes QEMU read all of its mapping tables: the audit looks at parts of a large one.
  const stretches = audit.share > 0 ? auditStretches(segmentsOf(disk.size), audit.random) : [];
  const present = await nonZero(allocation, disk, unite(closeGaps(dirty, GAP_SEGMENTS), stretches));
  const data = intersect(dirty, present);
  const clean = subtract(intersect(present, stretches), dirty);
  const share = Math.min(1, (audit.share * segmentsOf(disk.size)) / Math.max(1, countSegments(stretches)));
  return {
    disk,
    base,
    fullReason: undefined,
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

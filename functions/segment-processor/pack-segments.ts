import type { KnownSegment, PartKnowledge } from '#vault/dedupe/known-segments.ts';
import { idText } from '#vault/dedupe/pack-indexes.ts';
import { isZero } from '#vault/dedupe/segment-id.ts';
import { appendExtent, type Extent } from '#vault/format/extents.ts';
import { newPack, type PackWriter, type SealedPack } from '#vault/format/pack.ts';
import type { ReceiptStats } from '#vault/format/receipt.ts';
import { type PartHeader, RunKind } from '#vault/format/staged-part.ts';
import type { EpochKeys } from '#vault/keys/epoch-keys.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME } from '#vault/words.ts';

/** An opened part: the carried segments of `header.runs` in order, their ids, and what the vault knows of them. */
export interface PartSegments {
  readonly header: PartHeader;
  readonly segments: readonly Buffer[];
  readonly ids: readonly Buffer[];
  readonly knowledge: PartKnowledge;
  /** Where the segments of known runs lie, in order. */
  readonly located: readonly KnownSegment[];
}

export interface PackedSegments {
  readonly extents: Extent[];
  /** Undefined where nothing was new. */
  readonly pack: (SealedPack & { readonly ids: readonly Buffer[] }) | undefined;
  readonly stats: Omit<ReceiptStats, 'storedBytes'>;
}

/** Stands for the pack that is being built, whose name its bytes decide at the end. */
const THIS_PACK = 'this pack';

/** Decides for each segment of a part where it lies: zero, known, or in the pack made here. Pure computation. */
export function packSegments(keys: EpochKeys, level: number, part: PartSegments): PackedSegments {
  const frames = collectFrames(newPack(keys, level));
  const stats = { dataSegments: 0, newSegments: 0, auditedSegments: 0, auditFailures: 0 };
  const extents: Extent[] = [];
  let previous: KnownSegment | undefined;
  let i = 0;
  let told = 0;
  for (const run of part.header.runs) {
    if (run.kind === RunKind.zero) {
      appendExtent(extents, { start: run.first, count: run.count, pack: undefined, first: 0 });
      continue;
    }
    if (run.kind === RunKind.known) {
      appendKnown(extents, run.first, part.located.slice(told, told + run.count));
      told += run.count;
      stats.dataSegments += run.count;
      continue;
    }
    for (let start = run.first; start < run.first + run.count; start++, i++) {
      const { segment, id } = segmentAt(part, i);
      const zero = isZero(segment);
      if (run.kind === RunKind.audit) countAudit(stats, part.knowledge.unchanged(i, zero));
      else if (!zero) stats.dataSegments++;
      previous = zero ? undefined : (part.knowledge.find(i, previous) ?? frames.add(segment, id));
      appendExtent(extents, { start, count: 1, pack: previous?.pack, first: previous?.number ?? 0 });
    }
  }
  const pack = frames.finish();
  const named = extents.map((extent) => (extent.pack === THIS_PACK ? { ...extent, pack: pack?.reference } : extent));
  return { extents: named, pack, stats: { ...stats, newSegments: pack?.ids.length ?? 0 } };
}

function appendKnown(extents: Extent[], first: number, located: readonly KnownSegment[]): void {
  for (const [at, { pack, number }] of located.entries()) {
    appendExtent(extents, { start: first + at, count: 1, pack, first: number });
  }
}

function segmentAt({ segments, ids }: PartSegments, i: number): { segment: Buffer; id: Buffer } {
  const [segment, id] = [segments[i], ids[i]];
  if (segment === undefined || id === undefined) throw new RangeError(`Segment ${i} was not read.`);
  return { segment, id };
}

function countAudit(stats: { auditedSegments: number; auditFailures: number }, unchanged: boolean | undefined): void {
  if (unchanged !== undefined) stats.auditedSegments++;
  if (unchanged === false) stats.auditFailures++;
}

/** Gathers new segments into frames of 16; a segment that came twice in the part is stored once. */
function collectFrames(pack: PackWriter) {
  const numberOf = new Map<string, number>();
  const ids: Buffer[] = [];
  let waiting: Buffer[] = [];
  const close = () => {
    if (waiting.length === 0) return;
    pack.addFrame(joined(waiting), ids.slice(ids.length - waiting.length));
    waiting = [];
  };
  return {
    add(segment: Buffer, id: Buffer): KnownSegment {
      const text = idText(id);
      const number = numberOf.get(text) ?? ids.length;
      if (number === ids.length) {
        numberOf.set(text, number);
        ids.push(id);
        waiting.push(segment);
        if (waiting.length === SEGMENTS_PER_FRAME) close();
      }
      return { pack: THIS_PACK, number };
    },
    finish(): PackedSegments['pack'] {
      close();
      return ids.length === 0 ? undefined : { ...pack.finish(), ids };
    },
  };
}

/** Segments that lie behind one another in memory, as new ones mostly do, are joined without a copy. */
function joined(segments: readonly Buffer[]): Buffer {
  const [first] = segments;
  const adjoining =
    first !== undefined &&
    segments.every((s, i) => s.buffer === first.buffer && s.byteOffset === first.byteOffset + i * SEGMENT_SIZE);
  if (!adjoining) return Buffer.concat(segments);
  return Buffer.from(first.buffer, first.byteOffset, segments.length * SEGMENT_SIZE);
}

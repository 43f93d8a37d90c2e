import { isZero } from '../dedupe/segment-id.ts';
import { type KnownData, MOST_NAMED_PACKS } from '../format/known-data.ts';
import {
  newStagedPart,
  type PartHeader,
  partAgreement,
  RunKind,
  type StagedPartWriter,
} from '../format/staged-part.ts';
import { agreeAsSender } from '../keys/hpke.ts';
import type { ExportTicket } from '../runs.ts';
import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';
import type { KnownContent } from './ask-first.ts';
import { isShared, newPartInMemory } from './part-in-memory.ts';
import { newRunList } from './part-runs.ts';

/** A part under construction: what was read goes in, in disk order; what is held is sealed, except in memory that threads share. */
export interface PartBuilder {
  /** Segments of data so far, carried or known. */
  readonly segments: number;
  /** Decided by what the disk holds alone: an export that is tried again must make the same parts, whatever the vault answers. */
  readonly full: boolean;
  /** Lists segments that are known to be zero. */
  addZero(run: SegmentRun): void;
  /**
   * Adds segments that were read as changed; those that are all zero, or that the vault has (`known`, by their place in `bytes`), are listed,
   * not carried. `bytes` may be reused afterwards.
   */
  addData(first: number, bytes: Uint8Array, known?: ReadonlyMap<number, KnownContent>): void;
  /** Adds clean segments that were read for the bitmap audit. */
  addAudit(first: number, bytes: Uint8Array): void;
  /** The object in pieces. Call once, last. */
  finish(): Uint8Array[];
}

/** Begins part `number` of a ticket's disk; at most `most` segments of data, into `memory`: sealed, unless threads of this process share it. */
export async function newPartBuilder(
  ticket: ExportTicket,
  number: number,
  most: number,
  disk: Omit<PartHeader, 'runs'>,
  memory: Uint8Array,
): Promise<PartBuilder> {
  const part = isShared(memory) ? newPartInMemory(memory) : await newSealedPart(ticket, number, memory);
  const runs = newRunList();
  const told = listKnown();
  let segments = 0;
  const carry = (kind: RunKind, first: number, bytes: Uint8Array) => {
    part.addData(bytes);
    segments += bytes.length / SEGMENT_SIZE;
    runs.list(kind, first, bytes.length / SEGMENT_SIZE);
  };
  return {
    get segments() {
      return segments;
    },
    get full() {
      return segments >= most || runs.full;
    },
    addZero: ({ first, count }) => runs.list(RunKind.zero, first, count),
    addAudit: (first, bytes) => carry(RunKind.audit, first, bytes),
    addData(first, bytes, known) {
      for (const { from, to, kind } of stretches(bytes, (at) => told.list(known?.get(at)))) {
        if (kind === RunKind.data) carry(kind, first + from, bytes.subarray(from * SEGMENT_SIZE, to * SEGMENT_SIZE));
        else runs.list(kind, first + from, to - from);
        if (kind === RunKind.known) segments += to - from;
      }
    },
    finish: () => part.finish({ ...disk, runs: runs.listed, ...told.known() }),
  };
}

async function newSealedPart(ticket: ExportTicket, number: number, memory: Uint8Array): Promise<StagedPartWriter> {
  const agreement = partAgreement(ticket.vault, ticket.run, ticket.disk, number, ticket.token);
  return newStagedPart(ticket.epoch, await agreeAsSender(ticket.stagingPublicKey, agreement), memory);
}

function listKnown() {
  const packs = new Set<string>();
  const ids: Buffer[] = [];
  return {
    /** Whether the segment is told by its id: not where its pack would be one too many to name. */
    list(content: KnownContent | undefined): boolean {
      if (content === undefined || (packs.size === MOST_NAMED_PACKS && !packs.has(content.pack))) return false;
      packs.add(content.pack);
      ids.push(content.id);
      return true;
    },
    known: (): { known?: KnownData } =>
      ids.length === 0 ? {} : { known: { packs: [...packs], ids: Buffer.concat(ids) } },
  };
}

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly kind: RunKind;
}

/** Consecutive segments of one kind, as segment numbers within `bytes`. `isKnown` is asked once for each that is not zero, in order. */
function* stretches(bytes: Uint8Array, isKnown: (at: number) => boolean): Generator<Stretch> {
  const segments = bytes.length / SEGMENT_SIZE;
  const kindAt = (i: number): RunKind => {
    if (isZero(bytes.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE))) return RunKind.zero;
    return isKnown(i) ? RunKind.known : RunKind.data;
  };
  let from = 0;
  let kind = kindAt(0);
  for (let to = 1; to <= segments; to++) {
    const next = to < segments ? kindAt(to) : undefined;
    if (next === kind) continue;
    yield { from, to, kind };
    if (next !== undefined) [from, kind] = [to, next];
  }
}

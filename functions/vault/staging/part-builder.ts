import { isZero } from '../dedupe/segment-id.ts';
import { RUNS_PER_PART } from '../format/receipt.ts';
import { newStagedPart, type PartHeader, type PartRun, partAgreement, RunKind } from '../format/staged-part.ts';
import { agreeAsSender } from '../keys/hpke.ts';
import type { ExportTicket } from '../runs.ts';
import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';

/** A part under construction: what was read goes in, in disk order; only ciphertext is held. */
export interface PartBuilder {
  /** Segments of data carried so far, and runs listed. */
  readonly carried: number;
  readonly full: boolean;
  /** Lists segments that are known to be zero. */
  addZero(run: SegmentRun): void;
  /** Adds segments that were read as changed; those that are all zero are listed, not carried. `bytes` may be reused afterwards. */
  addData(first: number, bytes: Uint8Array): void;
  /** Adds clean segments that were read for the bitmap audit. */
  addAudit(first: number, bytes: Uint8Array): void;
  /** The object in pieces. Call once, last. */
  finish(): Uint8Array[];
}

/** Begins part `number` of a ticket's disk; at most `most` segments of data, sealed into `memory`. */
export async function newPartBuilder(
  ticket: ExportTicket,
  number: number,
  most: number,
  disk: Omit<PartHeader, 'runs'>,
  memory: Uint8Array,
): Promise<PartBuilder> {
  const agreement = partAgreement(ticket.vault, ticket.run, ticket.disk, number, ticket.token);
  const part = newStagedPart(ticket.epoch, await agreeAsSender(ticket.stagingPublicKey, agreement), memory);
  const runs: PartRun[] = [];
  let carried = 0;
  const list = (kind: RunKind, first: number, count: number) => {
    const last = runs.at(-1);
    if (last?.kind === kind && last.first + last.count === first)
      runs[runs.length - 1] = { ...last, count: last.count + count };
    else runs.push({ kind, first, count });
  };
  const carry = (kind: RunKind, first: number, bytes: Uint8Array) => {
    part.addData(bytes);
    carried += bytes.length / SEGMENT_SIZE;
    list(kind, first, bytes.length / SEGMENT_SIZE);
  };
  return {
    get carried() {
      return carried;
    },
    get full() {
      return carried >= most || runs.length >= RUNS_PER_PART - 2;
    },
    addZero: ({ first, count }) => list(RunKind.zero, first, count),
    addAudit: (first, bytes) => carry(RunKind.audit, first, bytes),
    addData(first, bytes) {
      for (const { from, to, zero } of stretches(bytes)) {
        if (zero) list(RunKind.zero, first + from, to - from);
        else carry(RunKind.data, first + from, bytes.subarray(from * SEGMENT_SIZE, to * SEGMENT_SIZE));
      }
    },
    finish: () => part.finish({ ...disk, runs }),
  };
}

/** Consecutive segments that are all zero, or all not, as segment numbers within `bytes`. */
function* stretches(bytes: Uint8Array): Generator<{ from: number; to: number; zero: boolean }> {
  const segments = bytes.length / SEGMENT_SIZE;
  const zeroAt = (i: number) => isZero(bytes.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE));
  for (let from = 0; from < segments; ) {
    const zero = zeroAt(from);
    let to = from + 1;
    while (to < segments && zeroAt(to) === zero) to++;
    yield { from, to, zero };
    from = to;
  }
}

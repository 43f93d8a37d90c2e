import { codeOf, EkkoError } from '#vault/errors.ts';
import type { Extent } from '#vault/format/extents.ts';
import { decodeReceipt, type Receipt, type ReceiptStats } from '#vault/format/receipt.ts';
import { openRecord, RecordKind } from '#vault/format/record.ts';
import type { ExportSummary } from '#vault/format/summary.ts';
import type { VaultReader } from '#vault/records.ts';
import { receiptKey } from '#vault/store/object-names.ts';

/** Sums over the receipts read so far. `listedSegments`: segments that some part names, zero or not. */
export type PartTotals = { -readonly [name in keyof ReceiptStats]: number } & { listedSegments: number };

export function noTotals(): PartTotals {
  return { dataSegments: 0, newSegments: 0, storedBytes: 0, auditedSegments: 0, auditFailures: 0, listedSegments: 0 };
}

/** Receipts fetched ahead, so that a far store is not waited for one by one. */
const AHEAD = 8;

/**
 * The extents of all parts of a disk, in order; adds to `totals` as they are read. The parts of a disk ascend and do not overlap:
 * that is what lets a commit work in bounded memory, and what a liar is found by.
 */
export async function* receiptsOf(
  vault: VaultReader,
  run: string,
  disk: number,
  summary: Pick<ExportSummary, 'parts' | 'diskSize'>,
  totals: PartTotals,
): AsyncGenerator<Extent> {
  let free = 0;
  for await (const { part, receipt } of fetched(vault, run, disk, summary.parts)) {
    const origin = receiptKey({ run, disk, part });
    if (receipt.diskSize !== summary.diskSize)
      throw refused(origin, `is of a disk of ${receipt.diskSize} bytes, not ${summary.diskSize}`);
    for (const extent of receipt.extents) {
      if (extent.start < free) throw refused(origin, `names segment ${extent.start} after segment ${free - 1}`);
      free = extent.start + extent.count;
      totals.listedSegments += extent.count;
      yield extent;
    }
    addTo(totals, receipt.stats);
  }
}

async function* fetched(vault: VaultReader, run: string, disk: number, parts: number) {
  const waiting: Promise<Receipt>[] = [];
  for (let part = 0, next = 0; part < parts; part++) {
    for (; next < Math.min(parts, part + AHEAD); next++) {
      const reading = readReceipt(vault, run, disk, next);
      reading.catch(() => undefined);
      waiting.push(reading);
    }
    const receipt = await waiting.shift();
    if (receipt !== undefined) yield { part, receipt };
  }
}

/** Throws `run-incomplete` where there is none, and what opening it throws. */
export async function readReceipt(
  { store, keyring }: VaultReader,
  run: string,
  disk: number,
  part: number,
): Promise<Receipt> {
  const key = receiptKey({ run, disk, part });
  try {
    const body = openRecord(keyring, { kind: RecordKind.receipt, context: key }, await store.get(key), key);
    return decodeReceipt(body, key);
  } catch (cause) {
    if (codeOf(cause) !== 'object-missing') throw cause;
    throw new EkkoError('run-incomplete', `${key} is missing: the part has not been processed yet.`, { cause });
  }
}

function addTo(totals: PartTotals, stats: ReceiptStats): void {
  totals.dataSegments += stats.dataSegments;
  totals.newSegments += stats.newSegments;
  totals.storedBytes += stats.storedBytes;
  totals.auditedSegments += stats.auditedSegments;
  totals.auditFailures += stats.auditFailures;
}

function refused(origin: string, found: string): EkkoError {
  return new EkkoError('part-refused', `${origin} ${found}. The run cannot commit; abandon it and back up again.`);
}

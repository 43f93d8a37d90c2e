import type { Manifest } from '#vault/format/manifest.ts';
import type { DiskPiece, DiskReader } from '#vault/restore/read-disk.ts';
import type { SegmentRun } from '#vault/words.ts';
import type { RestoreTarget } from '../restore-targets/restore-target.ts';

/** Bytes of the disk that could not be read. On the target they are zero. */
export interface UnreadableBytes {
  readonly offset: number;
  readonly length: number;
  /** Key of the object at fault. */
  readonly object: string;
  readonly reason: string;
}

export interface SpanOutcome {
  readonly dataBytes: number;
  readonly zeroBytes: number;
  readonly unreadable: readonly UnreadableBytes[];
}

/** Writes in flight: enough to keep a disk or QEMU busy, few enough to bound memory (pieces are at most 1 MiB). */
const WRITES_IN_FLIGHT = 6;

/** Reads one span of a disk and writes it to the target. Throws what the reader or the target throws. */
export async function restoreSpan(
  reader: DiskReader,
  manifest: Manifest,
  run: SegmentRun,
  target: RestoreTarget,
): Promise<SpanOutcome> {
  const writes = newWrites();
  const unreadable: UnreadableBytes[] = [];
  let [dataBytes, zeroBytes] = [0, 0];
  try {
    for await (const piece of reader.read(manifest, run)) {
      await writes.add(writePiece(target, piece));
      if (piece.kind === 'data') dataBytes += piece.length;
      else if (piece.kind === 'zero') zeroBytes += piece.length;
      else addUnreadable(unreadable, piece);
    }
  } finally {
    await writes.settle();
  }
  await writes.done();
  return { dataBytes, zeroBytes, unreadable };
}

/** Appends a run; neighbours that failed alike become one. */
export function addUnreadable(list: UnreadableBytes[], { offset, length, object, reason }: UnreadableBytes): void {
  const last = list.at(-1);
  const continues = last?.object === object && last.reason === reason && last.offset + last.length === offset;
  if (continues) list[list.length - 1] = { ...last, length: last.length + length };
  else list.push({ offset, length, object, reason });
}

function writePiece(target: RestoreTarget, piece: DiskPiece): Promise<void> {
  if (piece.kind === 'data') return target.write(piece.offset, piece.bytes).finally(piece.done);
  return target.zero(piece.offset, piece.length);
}

/** Bounded writes in flight. The first failure is thrown at the next `add`, or by `done`. */
function newWrites() {
  const pending = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  const done = async () => {
    if (failure) throw failure.error;
  };
  return {
    async add(write: Promise<void>): Promise<void> {
      const settled = write
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => pending.delete(settled));
      pending.add(settled);
      if (pending.size >= WRITES_IN_FLIGHT) await Promise.race(pending);
      await done();
    },
    settle: () => Promise.all(pending),
    done,
  };
}

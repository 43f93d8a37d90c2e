import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import type { OfferedSegment, SegmentSource } from '../../verifier/segment-source.ts';

/** A disk that can still be read, and what restore points call it. */
export interface DiskChoice {
  readonly name: string;
  /** Of an image file or block device. */
  readonly path: string;
}

/** Segments read at once. */
const SEGMENTS_AT_ONCE = 16;

/**
 * The disk of that name as it is now: it may have been written to since, so that only ids tell what of it is as it was at any restore
 * point. Throws `disk-unknown`, `bad-input`, `busy` (a QEMU writes to it).
 */
export async function openDiskSource(
  { name, path }: DiskChoice,
  format: 'raw' | 'qcow2' | undefined,
): Promise<SegmentSource> {
  const source = await openFileSource([{ path, name, ...(format === undefined ? {} : { format }) }]);
  const moment = await source.take({
    ...{ run: '', known: () => undefined, newest: () => undefined, readAll: 'asked-for' },
    ...{ quiesce: 'never', auditShare: 0 },
  });
  const size = moment.plans[0]?.disk.size ?? 0;
  return {
    name: path,
    vouched: false,
    offers: (_run, disk) => (disk === name ? name : undefined),
    async *read(_volume, runs, onFault) {
      for (const part of parts(runs, Math.ceil(size / SEGMENT_SIZE))) yield* readPart(moment, part, onFault);
    },
    close: () => source.close(),
  };
}

/** Runs in parts that are read at once, as far as the disk reaches. */
function* parts(runs: readonly SegmentRun[], segments: number): Generator<SegmentRun> {
  for (const { first, count } of runs) {
    const end = Math.min(first + count, segments);
    for (let at = first; at < end; at += SEGMENTS_AT_ONCE)
      yield { first: at, count: Math.min(SEGMENTS_AT_ONCE, end - at) };
  }
}

/** A disk that is dying has bad places: what lies beside them is read all the same. */
async function* readPart(
  moment: HeldMoment,
  { first, count }: SegmentRun,
  onFault: (message: string) => void,
): AsyncGenerator<OfferedSegment> {
  const bytes = Buffer.alloc(count * SEGMENT_SIZE);
  const failure = await moment.read(0, first * SEGMENT_SIZE, bytes.length, bytes).then(
    () => undefined,
    (error: unknown) => ({ message: error instanceof Error ? error.message : String(error) }),
  );
  if (failure === undefined) {
    for (let i = 0; i < count; i++) {
      yield { segment: first + i, bytes: bytes.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE) };
    }
  } else if (count === 1) onFault(failure.message);
  else for (let i = 0; i < count; i++) yield* readPart(moment, { first: first + i, count: 1 }, onFault);
}

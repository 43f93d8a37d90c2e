import { newImageDigest } from '#vault/images.ts';
import type { BaseImage, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { findFile } from './find-file.ts';
import type { HeldFile } from './held-file.ts';
import { holdQcow2File } from './qcow2-file.ts';
import { holdRawFile } from './raw-file.ts';

const BATCH_SEGMENTS = 32;
const BATCHES_AHEAD = 4;

/** Everything that is not a hole; no vault is asked. */
const READ_ALL: MomentRequest = {
  ...{
    run: '',
    known: () => undefined,
    newest: () => undefined,
    readAll: 'asked-for',
    quiesce: 'never',
    auditShare: 0,
  },
};

/** Reads an image and computes its digest. Throws `busy` when it is written to, `disk-unknown`, `bad-input`, `qemu-failed`. */
export async function digestOfFile(
  path: string,
  format: BaseImage['format'],
): Promise<Pick<BaseImage, 'size' | 'digest'>> {
  const found = await findFile({ path, format });
  const file = await (format === 'qcow2' ? holdQcow2File(found, READ_ALL) : holdRawFile(found, READ_ALL));
  try {
    return { size: found.disk.size, digest: await digestOf(file) };
  } finally {
    await file.close();
  }
}

/** Reads run a few batches ahead: memory does not depend on the image. */
async function digestOf({ plan, read }: HeldFile): Promise<string> {
  const { size } = plan.disk;
  const sum = newImageDigest(size);
  const waiting: Promise<{ readonly first: number; readonly bytes: Buffer }>[] = [];
  const batches = inBatches(plan.data);
  const begin = () => {
    const { done, value } = batches.next();
    if (done) return;
    const offset = value.first * SEGMENT_SIZE;
    const bytes = Buffer.allocUnsafe(Math.min(value.count * SEGMENT_SIZE, size - offset));
    const reading = read(offset, bytes.length, bytes).then(() => ({ first: value.first, bytes }));
    // Awaited in its turn; until then its failure must not count as unhandled.
    reading.catch(() => undefined);
    waiting.push(reading);
  };
  for (let i = 0; i < BATCHES_AHEAD; i++) begin();
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { first, bytes } = await next;
    begin();
    for (let at = 0; at < bytes.length; at += SEGMENT_SIZE) {
      sum.add(first + at / SEGMENT_SIZE, bytes.subarray(at, at + SEGMENT_SIZE));
    }
  }
  return sum.finish();
}

function* inBatches(runs: readonly SegmentRun[]): Generator<SegmentRun> {
  for (const { first, count } of runs) {
    for (let done = 0; done < count; done += BATCH_SEGMENTS) {
      yield { first: first + done, count: Math.min(BATCH_SEGMENTS, count - done) };
    }
  }
}

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequestCount } from '#vault/store/counted-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { openGuestDisk } from './guest-disk.ts';
import { type Lab, measureOnce } from './lab.ts';
import type { Measured } from './process.ts';
import { applyWrites, randomBytesOf } from './random-writes.ts';
import { countGuestRequests, sumOf } from './requests.ts';
import { below, median, type Row, shown } from './row.ts';
import { slicesOf } from './slices.ts';

const SIZE = 2 ** 40;
/** So much of the image is copied to the beginning: as many parts under way as with any disk. */
const COPIED = 2 ** 30;
/** And a segment in each GiB behind it: every page of the map has something to tell. */
const STRIDE = 2 ** 30;

export interface LargeDisk {
  readonly full: Measured;
  readonly empty: readonly Measured[];
  readonly emptyRequests: readonly RequestCount[];
  readonly restore: Measured;
}

/** Backs up a sparse disk of 1 TiB through QEMU, then again and again without a change, and restores it. */
export async function tryLargeDisk(lab: Lab): Promise<LargeDisk> {
  const raw = join(lab.folder, 'large.img');
  await makeSparseImage(raw, lab.image.path);
  const guest = await openGuestDisk(join(lab.folder, 'large'), raw);
  const repository = await lab.ekko.create(join(lab.folder, 'ekko-large'));
  const backUp = () => repository.backUpGuest(guest.qmpSocket);
  const full = await measureOnce(lab, 'ekko: full backup of 1 TiB, sparse', backUp);
  const empty: Measured[] = [];
  for (let run = 0; run < lab.shortRuns; run++) {
    empty.push(await measureOnce(lab, 'ekko: the same, nothing changed', backUp));
  }
  const emptyRequests = await countGuestRequests(lab, 'empty commit', repository, guest.qmpSocket);
  await guest.end();
  const target = join(lab.folder, 'large-restored.img');
  const restore = await measureOnce(lab, 'ekko: restore of 1 TiB, sparse', () => repository.restoreTo(target));
  return { full, empty, emptyRequests, restore };
}

async function makeSparseImage(path: string, source: string): Promise<void> {
  await using file = await open(path, 'w');
  let copied = 0;
  for await (const slice of slicesOf(source)) {
    if (copied >= COPIED) break;
    copied += (await file.write(slice, 0, slice.length, copied)).bytesWritten;
  }
  await file.truncate(SIZE);
  const far = Array.from({ length: SIZE / STRIDE - 1 }, (_, i) => (i + 1) * STRIDE + STRIDE / 2);
  await applyWrites(
    path,
    far.map((offset, i) => ({ offset, bytes: randomBytesOf(Buffer.alloc(32, `far ${i} `), SEGMENT_SIZE) })),
  );
}

/** Whole processes, from the start of `ekko` to its end; the requests are those of one more such backup. */
export function emptyCommitRows({ full, empty, emptyRequests }: LargeDisk): Row[] {
  return [
    shown('empty-commit.full.wall', full.seconds, 's'),
    below('empty-commit.wall', median(empty.map(({ seconds }) => seconds)), 's', 1),
    below('empty-commit.requests', sumOf(emptyRequests), 'requests', 50),
  ];
}

import { HEADER_READ_SIZE } from '#vault/format/staged-part.ts';
import { newSharedStaging, type SharedStaging } from '#vault/store/shared-staging.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';

/** How large staged parts are, how many may wait, and the memory that holds them until they are processed. */
export interface StagingPlan {
  readonly partSegments: number;
  readonly partsWaiting: number;
  /** The same of parts that are read in place: they hold no memory while they wait. */
  readonly placedPartsWaiting: number;
  readonly memory: SharedStaging;
}

/** For the parts of all disks at once, whatever the number of threads. */
const MOST_MEMORY = 132 * 1024 ** 2;
/** 24 MiB: larger ones make fewer objects, but more memory per thread. */
const LARGEST_PART = 384;
/** One is worked on; a worker in two finds the next one ready. */
const PARTS_PER_WORKER = 1.5;
/** One is worked on while the packs of two are stored. */
const PLACED_PARTS_PER_WORKER = 3;

/**
 * A plan for `workers` threads and `disks` disks. Many threads get smaller parts, so that memory stays the same. Beside the parts that
 * wait there is room for the one being written, and a little for each part that is read in place and each disk's summary, which stays until the commit.
 */
export function planStaging(workers: number, disks: number): StagingPlan {
  const partsWaiting = Math.ceil(workers * PARTS_PER_WORKER);
  const placedPartsWaiting = workers * PLACED_PARTS_PER_WORKER;
  const partSegments = Math.min(LARGEST_PART, Math.floor(MOST_MEMORY / (partsWaiting + 1) / SEGMENT_SIZE));
  return {
    partSegments,
    partsWaiting,
    placedPartsWaiting,
    memory: newSharedStaging(
      partsWaiting + 1,
      HEADER_READ_SIZE,
      partSegments * SEGMENT_SIZE,
      placedPartsWaiting + 1 + disks,
    ),
  };
}

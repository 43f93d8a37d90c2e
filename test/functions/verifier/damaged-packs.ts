import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { SegmentSource } from '../../../functions/verifier/segment-source.ts';
import { flipped, keysIn, replaceObject } from '../../damage.ts';
import { fresh, type Lab, newLab } from '../sweeper/lab.ts';

/** What the disk was at a moment, as a copy or a disk would give it. */
export function imageSource(image: Buffer, vouched: boolean, name = 'image'): SegmentSource {
  return {
    ...{ name, vouched, offers: () => name, close: async () => undefined },
    async *read(_volume, runs) {
      for (const { first, count } of runs) {
        for (let segment = first; segment < first + count; segment++) {
          yield { segment, bytes: Buffer.from(image.subarray(segment * SEGMENT_SIZE, (segment + 1) * SEGMENT_SIZE)) };
        }
      }
    },
  };
}

export interface DamagedLab {
  readonly lab: Lab;
  /** Its point, and what the disk was then. */
  readonly run: string;
  readonly image: Buffer;
  /** Keys. */
  readonly packs: readonly string[];
}

/** One point of 24 segments in three packs. */
export async function oneLab(): Promise<DamagedLab> {
  const lab = await newLab();
  const { id: run } = await lab.backUp(fresh(1, 24), 8);
  const image = lab.guest.moments.get(run) ?? Buffer.alloc(0);
  return { lab, run, image, packs: await keysIn(lab.memory, Folder.packs) };
}

/** Flips a bit of a pack's last frame. */
export async function spoilFrame(store: ObjectStore, key: string): Promise<void> {
  const bytes = await store.get(key);
  await replaceObject(store, key, flipped(bytes, bytes.length - 1));
}

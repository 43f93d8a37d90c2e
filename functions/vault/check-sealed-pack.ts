import { segmentId } from './dedupe/segment-id.ts';
import { EkkoError } from './errors.ts';
import { ID_SIZE, openFrame, openPackIndex, type SealedPack } from './format/pack.ts';
import { type EpochKeys, keyringOf } from './keys/epoch-keys.ts';
import { release } from './memory.ts';
import { contentName } from './store/object-names.ts';
import { SEGMENT_SIZE } from './words.ts';

/**
 * Opens a pack that was just sealed as a reader would, down to the id of each segment: what it was copied from may be removed because
 * of it. Throws `damaged`.
 */
export function checkSealedPack(keys: EpochKeys, { name, reference, pieces }: SealedPack): void {
  const bytes = Buffer.concat(pieces);
  const origin = `The new pack ${name}`;
  if (contentName([bytes]) !== name) throw new EkkoError('damaged', `${origin} is not what its name says. ${CHECK}`);
  const index = openPackIndex(keyringOf([keys]), bytes, origin, reference);
  for (const entry of index.frames) {
    const plain = openFrame(index, entry, bytes.subarray(entry.offset, entry.offset + entry.length), origin);
    for (let i = 0; i < entry.segments; i++) {
      const at = (entry.firstSegment + i) * ID_SIZE;
      const id = segmentId(keys, plain.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE));
      if (id.equals(index.ids.subarray(at, at + ID_SIZE))) continue;
      throw new EkkoError('damaged', `Segment ${entry.firstSegment + i} of ${origin} is not what was sealed. ${CHECK}`);
    }
    release(plain);
  }
  release(bytes);
}

const CHECK = "Nothing was stored; check this machine's memory.";

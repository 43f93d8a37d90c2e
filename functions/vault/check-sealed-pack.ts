import { segmentId } from './dedupe/segment-id.ts';
import { codeOf, EkkoError } from './errors.ts';
import { type FrameEntry, ID_SIZE, openFrame, openPackIndex, type PackIndex, type SealedPack } from './format/pack.ts';
import { type EpochKeys, keyringOf } from './keys/epoch-keys.ts';
import { release } from './memory.ts';
import { contentName } from './store/object-names.ts';
import { SEGMENT_SIZE } from './words.ts';

/**
 * Opens a pack that was just sealed as a reader would, down to the id of each segment: what it was copied from may be removed because
 * of it. Throws `function-failed`: another try may go well.
 */
export function checkSealedPack(keys: EpochKeys, { name, reference, pieces }: SealedPack): void {
  const bytes = Buffer.concat(pieces);
  const origin = `The new pack ${name}`;
  try {
    if (contentName([bytes]) !== name) throw wrong(origin, 'it is not what its name says');
    const index = openPackIndex(keyringOf([keys]), bytes, origin, reference);
    for (const entry of index.frames) checkFrame(keys, index, entry, bytes, origin);
  } catch (cause) {
    throw codeOf(cause) === 'function-failed' ? cause : wrong(origin, 'a reader could not open it', cause);
  } finally {
    release(bytes);
  }
}

function checkFrame(keys: EpochKeys, index: PackIndex, entry: FrameEntry, bytes: Buffer, origin: string): void {
  const plain = openFrame(index, entry, bytes.subarray(entry.offset, entry.offset + entry.length), origin);
  for (let i = 0; i < entry.segments; i++) {
    const at = (entry.firstSegment + i) * ID_SIZE;
    const id = segmentId(keys, plain.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE));
    if (id.equals(index.ids.subarray(at, at + ID_SIZE))) continue;
    throw wrong(origin, `its segment ${entry.firstSegment + i} is not the one that was packed`);
  }
  release(plain);
}

function wrong(origin: string, found: string, cause?: unknown): EkkoError {
  const message = `${origin} cannot be trusted: ${found}. Nothing was stored; check this machine's memory.`;
  return new EkkoError('function-failed', message, { cause });
}

import { codeOf } from '#vault/errors.ts';
import { ID_SIZE, type PackReference, packName } from '#vault/format/pack.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { VaultReader } from '#vault/records.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import { SEGMENTS_PER_PART } from '#vault/words.ts';
import { inLanes } from './in-lanes.ts';
import type { PackUsage } from './pack-usage.ts';

/** A pack of which so little is used that it is worth copying that out. */
export interface SparsePack {
  /** Its number among the used packs. */
  readonly number: number;
  readonly reference: PackReference;
  /** Bytes as stored. */
  readonly size: number;
  /** Segments in it, and those that are used. */
  readonly segments: number;
  readonly used: number;
  /** About how many stored bytes would be gone with it, and how many would have to be copied. */
  readonly gain: number;
  readonly cost: number;
}

export interface SparseRequest {
  /** Share of used segments below which a pack is sparse, 0-1. */
  readonly below: number;
  /** Bytes that a pack must at least gain: each one moved costs a few requests. */
  readonly leastGain: number;
}

const AT_ONCE = 16;
const INDEX_LENGTH_AT = 12;

/**
 * Sparse packs, the largest gain first. Packs that are condemned, moved or damaged are left alone. One request for each pack that
 * may be sparse, for how many segments it has only the pack itself tells. Throws `store-failed`.
 */
export async function findSparse(
  reader: VaultReader,
  usage: PackUsage,
  state: VaultState,
  { below, leastGain }: SparseRequest,
): Promise<SparsePack[]> {
  const found: SparsePack[] = [];
  const mayMove = (name: string) => !state.condemned.has(name) && !state.moved.has(name) && !state.damaged.has(name);

  async function* suspects() {
    for await (const { key, size } of reader.store.list(Folder.packs)) {
      const name = nameOf(key);
      const number = name === undefined || !mayMove(name) ? -1 : usage.find(name);
      if (number < 0 || usage.isOdd(number) || size < leastGain) continue;
      const used = usage.count(number);
      if (used < below * SEGMENTS_PER_PART) yield { number, used, size };
    }
  }

  await inLanes(AT_ONCE, suspects(), async ({ number, used, size }) => {
    const reference = usage.reference(number);
    const segments = await segmentsIn(reader, reference);
    if (segments === undefined || used >= below * segments) return;
    const cost = Math.round((size * used) / segments);
    if (size - cost >= leastGain) found.push({ number, reference, size, segments, used, gain: size - cost, cost });
  });
  return found.sort((a, b) => b.gain - a.gain);
}

/**
 * About how many segments a pack has, by the length of its index; undefined where the pack is gone. Nobody vouches for it: it decides
 * what is worth moving and nothing else. An index has 32 bytes a segment, 6 a frame, and 18 more.
 */
async function segmentsIn({ store }: VaultReader, reference: PackReference): Promise<number | undefined> {
  try {
    const head = await store.get(contentKey(Folder.packs, packName(reference)), { start: 0, end: INDEX_LENGTH_AT + 4 });
    if (head.length < INDEX_LENGTH_AT + 4) return undefined;
    return Math.min(SEGMENTS_PER_PART, Math.floor((head.readUInt32LE(INDEX_LENGTH_AT) - 18) / (ID_SIZE + 6 / 16)));
  } catch (error) {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  }
}

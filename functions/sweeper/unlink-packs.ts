import { samplesOf } from '#vault/dedupe/similarity.ts';
import { isUnreadable } from '#vault/errors.ts';
import { ID_SIZE, INDEX_READ_SIZE, openPackIndex } from '#vault/format/pack.ts';
import type { VaultReader } from '#vault/records.ts';
import { contentKey, Folder, sampleKey } from '#vault/store/object-names.ts';
import { inLanes } from './in-lanes.ts';

const AT_ONCE = 16;
const KEYS_PER_REMOVAL = 1000;

/**
 * Removes the samples that tell of packs, so that no run can come upon them any more. The packs' indexes tell which they are: one
 * request a pack. A sample that tells of another pack with the same segment goes too: it was a hint, and is missed by nobody
 * but dedupe. Returns how many keys were removed.
 */
export async function unlinkPacks(reader: VaultReader, packs: readonly string[]): Promise<number> {
  let keys: string[] = [];
  let removed = 0;
  const flush = async () => {
    const batch = keys;
    keys = [];
    removed += batch.length;
    if (batch.length > 0) await reader.store.remove(batch);
  };
  await inLanes(AT_ONCE, packs, async (pack) => {
    keys.push(...(await sampleKeysOf(reader, pack)));
    if (keys.length >= KEYS_PER_REMOVAL) await flush();
  });
  await flush();
  return removed;
}

/** A pack that cannot be read is no help to anybody, so its samples may stay. */
async function sampleKeysOf({ store, keyring }: VaultReader, pack: string): Promise<string[]> {
  const key = contentKey(Folder.packs, pack);
  try {
    const { ids } = openPackIndex(keyring, await store.get(key, { start: 0, end: INDEX_READ_SIZE }), key);
    const each = Array.from({ length: ids.length / ID_SIZE }, (_, i) => ids.subarray(i * ID_SIZE, (i + 1) * ID_SIZE));
    return samplesOf(each).map(sampleKey);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return [];
  }
}

import { samplesOf, writeSamples } from '#vault/dedupe/similarity.ts';
import { codeOf } from '#vault/errors.ts';
import { ID_SIZE, packName } from '#vault/format/pack.ts';
import type { VaultReader } from '#vault/records.ts';
import type { TrustedPack } from '#vault/restore/trusted-pack.ts';
import { sampleKey } from '#vault/store/object-names.ts';
import type { FreshPack } from './fresh-packs.ts';
import { inLanes } from './in-lanes.ts';

const AT_ONCE = 16;

/** Lets the samples of packs that were moved tell of the fresh ones. Hints only: what a crash leaves out costs dedupe. Throws `store-failed`. */
export async function relinkPacks(
  reader: VaultReader,
  old: readonly TrustedPack[],
  fresh: readonly FreshPack[],
): Promise<void> {
  await inLanes(AT_ONCE, old, (pack) => unlinkOne(reader, pack));
  await inLanes(AT_ONCE, fresh, ({ reference, ids }) => writeSamples(reader.store, reference, samplesOf(ids)));
}

/** Each sample is read first: another pack may have the segment too, and it is its own sample then. */
async function unlinkOne({ store }: VaultReader, { reference, index: { ids } }: TrustedPack): Promise<void> {
  const each = Array.from({ length: ids.length / ID_SIZE }, (_, i) => ids.subarray(i * ID_SIZE, (i + 1) * ID_SIZE));
  const keys = samplesOf(each).map(sampleKey);
  const found = await Promise.all(keys.map((key) => packOf(store, key)));
  const own = keys.filter((_, i) => found[i] === packName(reference));
  if (own.length > 0) await store.remove(own);
}

async function packOf(store: VaultReader['store'], key: string): Promise<string | undefined> {
  try {
    return (await store.get(key, { start: 0, end: 64 })).toString('latin1');
  } catch (error) {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  }
}

import pLimit from 'p-limit';
import { samplesOf, writeSamples } from '../dedupe/similarity.ts';
import { codeOf } from '../errors.ts';
import { ID_SIZE, packName } from '../format/pack.ts';
import type { VaultReader } from '../records.ts';
import type { TrustedPack } from '../restore/trusted-pack.ts';
import { sampleKey } from '../store/object-names.ts';
import type { FreshPack } from './fresh-packs.ts';

const AT_ONCE = 16;

/** Lets the samples of packs that were moved tell of the fresh ones. Hints only: what a crash leaves out costs dedupe. Throws `store-failed`. */
export async function relinkPacks(
  reader: VaultReader,
  old: readonly TrustedPack[],
  fresh: readonly FreshPack[],
): Promise<void> {
  const limit = pLimit(AT_ONCE);
  await limit.map(old, (pack) => unlinkOne(reader, pack));
  await limit.map(fresh, ({ reference, ids }) => writeSamples(reader.store, reference, samplesOf(ids)));
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

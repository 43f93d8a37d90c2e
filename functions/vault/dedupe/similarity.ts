import { codeOf } from '../errors.ts';
import { type PackReference, packName } from '../format/pack.ts';
import { sampleKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';

/**
 * Sparse indexing (Lillibridge et al., FAST '09): a segment id with the low bits zero is a sample, and points to a pack that holds
 * it. Content that resembles a pack shares samples with it; the pack's index then tells the rest.
 */
const SAMPLE_MASK = 0x7f;

/**
 * The samples among segment ids, in hex: one id in 128, 8 of a full part; and the least one, so that a small part has one too
 * and its copy is always found.
 */
export function samplesOf(ids: readonly Buffer[]): string[] {
  const [first, ...rest] = ids;
  if (first === undefined) return [];
  const least = rest.reduce((a, b) => (a.compare(b) <= 0 ? a : b), first);
  return [...new Set([least, ...ids.filter(isSample)].map((id) => id.toString('hex')))];
}

function isSample(id: Uint8Array): boolean {
  return ((id[id.length - 1] ?? 1) & SAMPLE_MASK) === 0;
}

/** Packs to load for one part. */
const MOST_CHAMPIONS = 8;

/** References of the packs that share most samples with `samples` (ids in hex), best first. `skip` packs are not considered. */
export async function championsOf(
  store: ObjectStore,
  samples: readonly string[],
  skip: (name: string) => boolean,
): Promise<string[]> {
  const answers = await Promise.all(samples.map((id) => packOfSample(store, id)));
  const votes = new Map<string, number>();
  for (const pack of answers)
    if (pack !== undefined && !skip(packName(pack))) votes.set(pack, (votes.get(pack) ?? 0) + 1);
  const ranked = [...votes].sort(([, a], [, b]) => b - a);
  return ranked.slice(0, MOST_CHAMPIONS).map(([pack]) => pack);
}

async function packOfSample(store: ObjectStore, id: string): Promise<string | undefined> {
  try {
    const text = (await store.get(sampleKey(id), { start: 0, end: 97 })).toString('latin1');
    return /^[0-9a-f]{96}$/.test(text) ? text : undefined;
  } catch (error) {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  }
}

/** Records the samples of a pack that is in the store. The first pack with a sample keeps it. Not durable: a lost sample costs dedupe only. */
export async function writeSamples(store: ObjectStore, pack: PackReference, samples: readonly string[]): Promise<void> {
  const body = [Buffer.from(pack, 'latin1')];
  await Promise.all(samples.map((id) => store.create(sampleKey(id), body, { durable: false })));
}

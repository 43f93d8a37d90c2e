import { LRUCache } from 'lru-cache';
import { codeOf } from '../errors.ts';
import { epochOfPack, ID_SIZE, INDEX_READ_SIZE, openPackIndex, type PackReference, packName } from '../format/pack.ts';
import type { VaultReader } from '../records.ts';
import { contentKey, Folder } from '../store/object-names.ts';

/** A pack as dedupe sees it: which segment has which id. */
export interface KnownPack {
  readonly reference: PackReference;
  /** Key epoch that its segment ids are made under. */
  readonly epoch: number;
  /** Segment id as `idText`, to the segment's number in the pack. */
  readonly segmentOf: ReadonlyMap<string, number>;
  /** The id of segment `number`, or undefined past the end. */
  idText(number: number): string | undefined;
}

/** Ids as Map keys: one byte a character, the cheapest text of 32 bytes. */
export function idText(id: Buffer): string {
  return id.toString('latin1');
}

/** About 0.2 MiB each. */
const MOST_PACKS = 256;

export interface PackIndexes {
  /** The index of a pack, from the cache or by one request. Undefined where the pack is gone or damaged: it is then no help. */
  get(reference: PackReference): Promise<KnownPack | undefined>;
}

export function openPackIndexes(reader: VaultReader): PackIndexes {
  const cache = new LRUCache<string, Promise<KnownPack | undefined>>({ max: MOST_PACKS });
  return {
    get(reference) {
      const held = cache.get(reference) ?? load(reader, reference);
      cache.set(reference, held);
      return held;
    },
  };
}

async function load({ store, keyring }: VaultReader, reference: PackReference): Promise<KnownPack | undefined> {
  const key = contentKey(Folder.packs, packName(reference));
  try {
    const head = await store.get(key, { start: 0, end: INDEX_READ_SIZE });
    const { ids } = openPackIndex(keyring, head, key, reference);
    return knownPack(reference, epochOfPack(head), ids);
  } catch (error) {
    if (codeOf(error) === 'store-failed' || codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function knownPack(reference: PackReference, epoch: number, ids: Buffer): KnownPack {
  const texts: string[] = [];
  const segmentOf = new Map<string, number>();
  for (let at = 0; at < ids.length; at += ID_SIZE) {
    const text = ids.toString('latin1', at, at + ID_SIZE);
    segmentOf.set(text, texts.length);
    texts.push(text);
  }
  return { reference, epoch, segmentOf, idText: (number) => texts[number] };
}

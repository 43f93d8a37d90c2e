import { LRUCache } from 'lru-cache';
import { INDEX_READ_SIZE, openPackIndex, type PackIndex, type PackReference, packName } from '../format/pack.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import type { VaultReader } from '../records.ts';
import { contentKey, Folder } from '../store/object-names.ts';

/** A pack that is known to be the one its reference stands for. */
export interface TrustedPack {
  readonly reference: PackReference;
  /** Its key in the store: what messages call it. */
  readonly key: string;
  readonly index: PackIndex;
  /** Keys of the epoch it was written under: they decide its segment ids. */
  readonly epoch: EpochKeys;
}

export interface PackShelf {
  /**
   * Opens a pack's index, which its reference tells from that of any other pack.
   * Throws `object-missing`, `damaged`, `bad-format`, `wrong-key`, `store-failed`, each naming the pack.
   */
  open(reference: PackReference): Promise<TrustedPack>;
  /** Bytes `[start, end)` of a pack, fewer where it ends. */
  read(pack: TrustedPack, start: number, end: number): Promise<Buffer>;
}

/** About 50 KiB each. */
const MOST_INDEXES = 128;
const EPOCH_AT = 8;

/** Keeps the indexes of the packs used last. */
export function openPackShelf({ store, keyring }: VaultReader): PackShelf {
  const opened = new LRUCache<PackReference, Promise<TrustedPack>>({ max: MOST_INDEXES });

  async function load(reference: PackReference): Promise<TrustedPack> {
    const key = contentKey(Folder.packs, packName(reference));
    const head = await store.get(key, { start: 0, end: INDEX_READ_SIZE });
    const index = openPackIndex(keyring, head, key, reference);
    return { reference, key, index, epoch: keyring.epoch(head.readUInt32LE(EPOCH_AT), key) };
  }

  return {
    async open(reference) {
      const loading = opened.get(reference) ?? load(reference);
      opened.set(reference, loading);
      // What failed once may be readable the next time.
      loading.catch(() => opened.delete(reference));
      return loading;
    },
    read: ({ key }, start, end) => store.get(key, { start, end }),
  };
}

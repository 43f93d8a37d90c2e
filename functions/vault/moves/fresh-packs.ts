import { checkSealedPack } from '../check-sealed-pack.ts';
import { idText } from '../dedupe/pack-indexes.ts';
import { newPack, type PackReference, type PackWriter } from '../format/pack.ts';
import type { EpochKeys } from '../keys/epoch-keys.ts';
import { release } from '../memory.ts';
import { contentKey, Folder } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME, SEGMENTS_PER_PART } from '../words.ts';

/** Where a segment will lie: in which of the packs that are being made. */
export interface FreshPlace {
  readonly pack: number;
  readonly segment: number;
}

/** A pack that was made, and the ids of its segments. */
export interface FreshPack {
  readonly name: string;
  readonly reference: PackReference;
  readonly size: number;
  readonly ids: readonly Buffer[];
}

/** Makes packs of segments that come one by one. Holds one pack in memory. */
export interface FreshPacks {
  /** A segment that is there already is not stored again. Its bytes may be reused afterwards. */
  add(bytes: Buffer, id: Buffer): Promise<FreshPlace>;
  /** Writes the last pack. All packs, durable, by their number. */
  finish(): Promise<readonly FreshPack[]>;
}

/** `keys` are those that every pack is sealed under, and whose ids the segments have. `level` is zstd's. */
export function openFreshPacks(store: ObjectStore, keys: EpochKeys, level: number): FreshPacks {
  const places = new Map<string, FreshPlace>();
  const packs: FreshPack[] = [];
  const frame = Buffer.allocUnsafeSlow(SEGMENTS_PER_FRAME * SEGMENT_SIZE);
  let draft = newDraft();

  function newDraft() {
    const writer: PackWriter = newPack(keys, level);
    return { writer, ids: [] as Buffer[], waiting: 0 };
  }

  const closeFrame = (): void => {
    const { writer, ids, waiting } = draft;
    if (waiting > 0) writer.addFrame(frame.subarray(0, waiting * SEGMENT_SIZE), ids.slice(ids.length - waiting));
    draft.waiting = 0;
  };

  const closePack = async (): Promise<void> => {
    closeFrame();
    const { writer, ids } = draft;
    if (ids.length === 0) return;
    const pack = writer.finish();
    checkSealedPack(keys, pack);
    await store.create(contentKey(Folder.packs, pack.name), pack.pieces);
    for (const piece of pack.pieces) release(piece);
    packs.push({ name: pack.name, reference: pack.reference, size: pack.size, ids });
    draft = newDraft();
  };

  return {
    async add(bytes, id) {
      const known = places.get(idText(id));
      if (known !== undefined) return known;
      bytes.copy(frame, draft.waiting * SEGMENT_SIZE);
      const place = { pack: packs.length, segment: draft.ids.push(Buffer.from(id)) - 1 };
      places.set(idText(id), place);
      draft.waiting++;
      if (draft.waiting === SEGMENTS_PER_FRAME) closeFrame();
      if (draft.ids.length === SEGMENTS_PER_PART) await closePack();
      return place;
    },
    async finish() {
      await closePack();
      return packs;
    },
  };
}

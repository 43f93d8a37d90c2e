import { idText } from '#vault/dedupe/pack-indexes.ts';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { EkkoError } from '#vault/errors.ts';
import {
  ID_SIZE,
  newPack,
  openFrame,
  openPackIndex,
  type PackReference,
  type PackWriter,
  type SealedPack,
} from '#vault/format/pack.ts';
import { type EpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { release } from '#vault/memory.ts';
import { contentKey, contentName, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME, SEGMENTS_PER_PART } from '#vault/words.ts';

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
    checkPack(keys, pack);
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

/**
 * Opens a pack that was just sealed as a reader would, down to the id of each segment: what it was copied from may be removed because
 * of it. Throws `damaged`.
 */
function checkPack(keys: EpochKeys, { name, reference, pieces }: SealedPack): void {
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

const CHECK = "Nothing was moved; check this machine's memory.";

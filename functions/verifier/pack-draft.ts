import { segmentId } from '#vault/dedupe/segment-id.ts';
import { ID_SIZE, packName } from '#vault/format/pack.ts';
import type { EpochKeys } from '#vault/keys/epoch-keys.ts';
import type { FreshPacks, FreshPlace } from '#vault/moves/fresh-packs.ts';
import type { TrustedPack } from '#vault/restore/trusted-pack.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import type { NeededPack } from './needed-segments.ts';
import { segmentRuns } from './segment-runs.ts';

/** A damaged pack, and what of it has been found so far. */
export interface PackDraft {
  readonly key: string;
  readonly needed: NeededPack;
  /** With the index, which tells the ids; undefined where that is lost too. */
  readonly pack: TrustedPack | undefined;
  readonly placed: ReadonlyMap<number, FreshPlace>;
  /** Segments that were intact in the pack itself, that a source had, and of these those that only a copy's key vouches for. */
  readonly sums: { readonly kept: number; readonly found: number; readonly vouched: number };
  isPlaced(segment: number): boolean;
  /** A segment of the pack itself, compared with its id. */
  keep(segment: number, bytes: Buffer): Promise<void>;
  /** What a source has in its place: taken when it has the segment's id. Without an index, when all that vouch for it say the same. */
  offer(segment: number, bytes: Buffer): Promise<void>;
  /** Needed segments that were not found. */
  lost(): SegmentRun[];
}

/** `keys` are those that `fresh` packs are sealed under. */
export function newPackDraft(
  needed: NeededPack,
  pack: TrustedPack | undefined,
  keys: EpochKeys,
  fresh: Pick<FreshPacks, 'add'>,
): PackDraft {
  const placed = new Map<number, FreshPlace>();
  const sums = { kept: 0, found: 0, vouched: 0 };
  const claims = new Map<number, Buffer>();

  async function offerWithId(trusted: TrustedPack, segment: number, bytes: Buffer): Promise<void> {
    const id = segmentId(trusted.epoch, bytes);
    if (placed.has(segment) || !id.equals(trusted.index.ids.subarray(segment * ID_SIZE, (segment + 1) * ID_SIZE)))
      return;
    placed.set(segment, await fresh.add(bytes, trusted.epoch.epoch === keys.epoch ? id : segmentId(keys, bytes)));
    sums.found++;
  }

  async function offerVouched(segment: number, bytes: Buffer): Promise<void> {
    const id = segmentId(keys, bytes);
    const claimed = claims.get(segment);
    claims.set(segment, id);
    if (claimed === undefined) {
      placed.set(segment, await fresh.add(bytes, id));
      sums.found++;
      sums.vouched++;
    } else if (!claimed.equals(id) && placed.delete(segment)) {
      // Two that vouch for different bytes: neither is believed.
      sums.found--;
      sums.vouched--;
    }
  }

  return {
    key: contentKey(Folder.packs, packName(needed.reference)),
    ...{ needed, pack, placed, sums },
    isPlaced: (segment) => placed.has(segment),
    async keep(segment, bytes) {
      placed.set(segment, await fresh.add(bytes, segmentId(keys, bytes)));
      sums.kept++;
    },
    offer: (segment, bytes) =>
      bytes.length !== SEGMENT_SIZE
        ? Promise.resolve()
        : pack === undefined
          ? offerVouched(segment, bytes)
          : offerWithId(pack, segment, bytes),
    lost: () => segmentRuns([...needed.segments.keys()].filter((segment) => !placed.has(segment))),
  };
}

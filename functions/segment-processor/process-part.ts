import pLimit from 'p-limit';
import { checkSealedPack } from '#vault/check-sealed-pack.ts';
import { type KnownSegments, openKnownSegments } from '#vault/dedupe/known-segments.ts';
import { isZero, segmentId } from '#vault/dedupe/segment-id.ts';
import { samplesOf, writeSamples } from '#vault/dedupe/similarity.ts';
import { codeOf } from '#vault/errors.ts';
import { encodeReceipt, type Receipt } from '#vault/format/receipt.ts';
import { RecordKind, sealRecord } from '#vault/format/record.ts';
import { carriedRuns } from '#vault/format/staged-part.ts';
import type { EpochKeys } from '#vault/keys/epoch-keys.ts';
import { release } from '#vault/memory.ts';
import { type OpenedPart, openPart, warmPart } from '#vault/staging/open-part.ts';
import { contentKey, Folder, type PartPlace, placeOf, receiptKey, stagingKey } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type PackedSegments, packSegments } from './pack-segments.ts';

/** What happened to a staged part. `repeated`: its receipt was there already; `not-a-part`: a summary, which the commit reads. */
export type PartOutcome =
  | { readonly kind: 'processed'; readonly receipt: Receipt }
  | { readonly kind: 'repeated' | 'not-a-part' };

export interface PartProcessor {
  /**
   * Turns the staged part at `key` into a pack of its new segments and a receipt, then removes the part. Idempotent: the first
   * receipt wins, a repeated or late call finds it there; whatever a crash leaves is at worst an orphaned pack.
   * Throws `object-missing` (no such part and no receipt), `bad-input` (not a staging key), `part-refused`, `damaged`,
   * `bad-format`, `wrong-key`, `store-failed`.
   */
  process(key: string): Promise<PartOutcome>;
}

interface Workplace {
  readonly vault: Vault;
  readonly known: KnownSegments;
  readonly level: number;
  readonly checkPacks: boolean;
}

interface Packed {
  readonly diskSize: number;
  readonly packed: PackedSegments;
}

/**
 * A processor keeps indexes and pages of the vault in memory between parts, bounded. `compressionLevel` is zstd's, 1-3; `checkPacks`:
 * each pack is opened again as a reader would, down to the ids of its segments, before it is stored.
 */
export function openPartProcessor(vault: Vault, compressionLevel: number, checkPacks = false): PartProcessor {
  const workplace = { vault, known: openKnownSegments(vault), level: compressionLevel, checkPacks };
  // One part at a time is held in the clear; the next one begins while the store still makes this one's pack durable.
  const inTurn = pLimit(1);
  return {
    async process(key) {
      const place = placeOf(key);
      if (place.part === 'summary') return { kind: 'not-a-part' };
      if (await hasReceipt(vault, place)) {
        await vault.store.remove([key]);
        return { kind: 'repeated' };
      }
      await warmPart(vault, place);
      const { diskSize, packed } = await inTurn(() => packPart(workplace, place));
      const receipt = await storePack(vault, diskSize, packed);
      await writeReceipt(vault, place, receipt);
      await vault.store.remove([stagingKey(place)]);
      return { kind: 'processed', receipt };
    },
  };
}

async function packPart({ vault, known, level, checkPacks }: Workplace, place: PartPlace): Promise<Packed> {
  // First of all: the part may be sealed under a key epoch that began a moment ago. From here on its ids and its pack are of one epoch.
  const { condemned, moved, damaged } = await vault.journal.refresh();
  const keys = vault.keyring.newest;
  const part = await openPart(vault, place);
  const { header } = part;
  const useless = (pack: string) => condemned.has(pack) || moved.has(pack) || damaged.has(pack);
  try {
    const { segments, ids } = await readSegments(keys, part);
    const content = { segments, ids, epoch: keys.epoch, lineage: header.lineage, runs: carriedRuns(header.runs) };
    const [knowledge, located] = await Promise.all([
      known.look(content, useless),
      header.known === undefined ? [] : known.locate(header.known, keys.epoch, useless, stagingKey(place)),
    ]);
    const packed = packSegments(keys, level, { header, segments, ids, knowledge, located });
    if (checkPacks && packed.pack !== undefined) checkSealedPack(keys, packed.pack);
    return { diskSize: header.diskSize, packed };
  } finally {
    part.close();
  }
}

/** All segments are read before the first is packed: what the vault knows of a part is asked once, by all its ids. */
async function readSegments(
  keys: EpochKeys,
  part: OpenedPart,
): Promise<{ readonly segments: Buffer[]; readonly ids: Buffer[] }> {
  const segments: Buffer[] = [];
  const ids: Buffer[] = [];
  const idOf = segmentIds(keys);
  for await (const chunk of part.chunks()) {
    for (let at = 0; at < chunk.length; at += SEGMENT_SIZE) {
      const segment = chunk.subarray(at, at + SEGMENT_SIZE);
      segments.push(segment);
      ids.push(idOf(segment));
    }
  }
  return { segments, ids };
}

/** Where disks are read in place, many segments may be zero: those have one id. */
function segmentIds(keys: EpochKeys): (segment: Buffer) => Buffer {
  let zero: Buffer | undefined;
  return (segment) => {
    if (!isZero(segment)) return segmentId(keys, segment);
    zero ??= segmentId(keys, segment);
    return zero;
  };
}

/** The pack is durable before anything names it. */
async function storePack(vault: Vault, diskSize: number, { pack, extents, stats }: PackedSegments): Promise<Receipt> {
  if (pack === undefined) return { diskSize, stats: { ...stats, storedBytes: 0 }, extents };
  await vault.store.create(contentKey(Folder.packs, pack.name), pack.pieces);
  for (const piece of pack.pieces) release(piece);
  await writeSamples(vault.store, pack.reference, samplesOf(pack.ids));
  return { diskSize, stats: { ...stats, storedBytes: pack.size }, extents };
}

async function hasReceipt(vault: Vault, place: PartPlace): Promise<boolean> {
  try {
    await vault.store.get(receiptKey(place), { start: 0, end: 1 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'object-missing') return false;
    throw error;
  }
}

async function writeReceipt(vault: Vault, place: PartPlace, receipt: Receipt): Promise<void> {
  const key = receiptKey(place);
  const record = sealRecord(vault.keyring.newest, { kind: RecordKind.receipt, context: key }, encodeReceipt(receipt));
  await vault.store.create(key, [record]);
}

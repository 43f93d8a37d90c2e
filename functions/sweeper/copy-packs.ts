import { segmentId } from '#vault/dedupe/segment-id.ts';
import { isUnreadable } from '#vault/errors.ts';
import { packName } from '#vault/format/pack.ts';
import type { EpochKeys } from '#vault/keys/epoch-keys.ts';
import { type CopiedRun, runsOf } from '#vault/moves/copied-runs.ts';
import { type FreshPack, type FreshPacks, type FreshPlace, openFreshPacks } from '#vault/moves/fresh-packs.ts';
import type { VaultReader } from '#vault/records.ts';
import type { PackShelf, TrustedPack } from '#vault/restore/trusted-pack.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { readSegments } from './copy-segments.ts';
import type { LivenessProblem } from './liveness.ts';
import type { PackUsage } from './pack-usage.ts';
import type { SparsePack } from './sparse-packs.ts';

/** What was copied out of packs, and into which. */
export interface Copy {
  readonly packs: readonly CopiedPack[];
  readonly fresh: readonly FreshPack[];
  /** Packs that cannot be read. */
  readonly problems: readonly LivenessProblem[];
}

export interface CopiedPack {
  /** Its number among the used packs. */
  readonly number: number;
  readonly pack: TrustedPack;
  readonly runs: readonly CopiedRun[];
}

/**
 * Copies the used segments of packs into fresh ones, which are durable then. A pack that cannot be read is left out. Holds one fresh pack
 * and a few MiB beside it. Throws `store-failed`, and the signal's reason.
 */
export async function copyPacks(
  vault: VaultReader,
  shelf: PackShelf,
  usage: PackUsage,
  sparse: readonly SparsePack[],
  level: number,
  signal: AbortSignal | undefined,
): Promise<Copy> {
  const keys = vault.keyring.newest;
  const fresh = openFreshPacks(vault.store, keys, level);
  const packs: CopiedPack[] = [];
  const problems: LivenessProblem[] = [];
  for (const { number, reference } of sparse) {
    signal?.throwIfAborted();
    try {
      const pack = await shelf.open(reference);
      packs.push({ number, pack, runs: await copyPack(shelf, fresh, pack, usage.runs(number), keys) });
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      problems.push({ object: contentKey(Folder.packs, packName(reference)), message: error.message });
    }
  }
  return { packs, fresh: await fresh.finish(), problems };
}

async function copyPack(
  shelf: PackShelf,
  fresh: FreshPacks,
  pack: TrustedPack,
  used: ReturnType<PackUsage['runs']>,
  keys: EpochKeys,
): Promise<CopiedRun[]> {
  const places = new Map<number, FreshPlace>();
  for await (const { number, bytes, id } of readSegments(shelf, pack, used)) {
    // Each epoch has segment ids of its own.
    places.set(number, await fresh.add(bytes, pack.epoch.epoch === keys.epoch ? id : segmentId(keys, bytes)));
  }
  return runsOf(places);
}

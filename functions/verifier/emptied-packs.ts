import { isUnreadable } from '#vault/errors.ts';
import { knownMoves } from '#vault/moves/pack-moves.ts';
import type { VaultReader } from '#vault/records.ts';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import { findAffected } from './affected-disks.ts';
import type { VerifiedPoint } from './inventory.ts';
import type { Problem } from './problem.ts';
import type { EmptiedPack } from './report.ts';

/**
 * Damaged packs out of which all that `points` need has been moved, by a repair or a compaction: they only wait for the next sweep.
 * None while a page, manifest, point or move cannot be read: nobody knows then what is needed.
 */
export async function findEmptied(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  problems: ReadonlyMap<string, Problem>,
): Promise<EmptiedPack[]> {
  const moved = knownMoves(reader);
  if (![...problems.keys()].every((key) => key.startsWith(Folder.packs))) return [];
  const packs = new Map([...problems].filter(([key]) => moved.get(nameOf(key) ?? '') !== undefined));
  if (packs.size === 0) return [];
  const needed = await neededOf(reader, points, packs);
  if (needed === undefined) return [];
  return [...packs].filter(([key]) => !needed.has(key)).map(([object, { message }]) => ({ object, message }));
}

/** Which of the packs `points` need. Undefined where a record cannot be read: a sweep may remove those of an expired point meanwhile. */
async function neededOf(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  packs: ReadonlyMap<string, Problem>,
): Promise<ReadonlyMap<string, unknown> | undefined> {
  try {
    return await findAffected(reader, points, packs);
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

import type { VaultReader } from '#vault/records.ts';
import { findAffected } from './affected-disks.ts';
import { checkObject } from './check-object.ts';
import { findingOf } from './finding.ts';
import { takeInventory, type VerifiedPoint } from './inventory.ts';
import { usesAt } from './needed-packs.ts';
import type { Finding } from './report.ts';

/**
 * Looks at some objects only, down to the last segment, and at what restore points need of them as the journal says now. Those that no
 * point needs are of no interest, but for `written`, which were made a moment ago. Throws `store-failed`.
 */
export async function verifyObjects(
  reader: VaultReader,
  points: readonly VerifiedPoint[],
  { damaged, written }: { readonly damaged: readonly string[]; readonly written: readonly string[] },
): Promise<Finding[]> {
  const inventory = await takeInventory(reader, points);
  const problems = new Map(inventory.problems);
  const { packs } = inventory;
  const isNeeded = (key: string) => packs.find(key) >= 0;
  const needed = damaged.filter(isNeeded);
  for (const key of new Set([...needed, ...written])) {
    const { problem } = await checkObject(reader.store, reader.keyring, {
      ...{ key, size: undefined, uses: usesAt(packs, key) },
    });
    // A move or pack that is there and that nothing needs may have been swept again: that costs nothing.
    if (problem !== undefined && !(problem.code === 'object-missing' && !isNeeded(key))) problems.set(key, problem);
  }
  if (problems.size === 0) return [];
  const affected = await findAffected(reader, points, problems);
  return [...problems].map(([key, problem]) => findingOf(key, problem, affected.get(key), true));
}

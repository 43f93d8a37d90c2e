import { createHash } from 'node:crypto';
import type { EarlierCopy } from '#vault/copies/earlier-copies.ts';
import { type CommittedPoint, newestEpoch } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';

/** Another way to cut a disk into parts needs another number. */
const CUT = 1;

/**
 * A digest of all that decides what the parts of a copy hold: restore points never change, so copies of the same plan have the same parts,
 * whichever process makes them. The target's key epoch is in it: what was found by content under an older one is not built on.
 */
export function copyPlan(
  from: Pick<Vault, 'id'>,
  { point, disks }: Pick<CommittedPoint, 'point' | 'disks'>,
  earlier: ReadonlyMap<string, EarlierCopy>,
  target: Pick<Vault, 'journal'>,
  partSegments: number,
): string {
  const bases = disks.map(({ name }) => earlier.get(name)).map((base) => base && [base.point, base.manifest]);
  const decides = [CUT, from.id, point, bases, newestEpoch(target.journal.state()), partSegments];
  return createHash('sha256').update(JSON.stringify(decides)).digest('hex');
}

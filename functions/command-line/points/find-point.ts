import type { RestorePoint } from '#vault/format/point.ts';
import { readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { readPointArgument, selectDisks } from '../arguments/select-point.ts';
import { selectEvenDeleted } from '../arguments/select-points.ts';

/**
 * The restore point that `POINT` or `POINT/DISK` means, also a deleted one, with the disks that are meant. Throws `point-unknown`, `disk-unknown`,
 * `bad-input`, and what reading its record throws.
 */
export async function findPoint(vault: Vault, text: string): Promise<RestorePoint> {
  const argument = readPointArgument(text);
  const point = await readPoint(vault, selectEvenDeleted(vault.journal.state(), argument).point);
  return { ...point, disks: selectDisks(point, argument.disk) };
}

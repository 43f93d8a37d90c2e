import type { RestorePoint } from '#vault/format/point.ts';
import { readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { readPointArgument, selectDisks, selectPoint } from '../arguments/select-point.ts';

/**
 * The restore point that `POINT` or `POINT/DISK` means, with the disks that are meant. Throws `point-unknown`, `disk-unknown`,
 * `bad-input`, and what reading its record throws.
 */
export async function findPoint(vault: Vault, text: string): Promise<RestorePoint> {
  const argument = readPointArgument(text);
  const point = await readPoint(vault, selectPoint(vault.journal.state(), argument).point);
  return { ...point, disks: selectDisks(point, argument.disk) };
}

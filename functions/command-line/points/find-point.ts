import type { RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readListedPoint, readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { readPointArgument, selectDisks } from '../arguments/select-point.ts';
import { selectEvenDeleted } from '../arguments/select-points.ts';

/**
 * The restore point that `POINT` or `POINT/DISK` means, also a deleted one, with the disks that are meant. Throws `point-unknown`, `disk-unknown`,
 * `bad-input`, and what reading its record throws.
 */
export async function findPoint(vault: Vault, text: string): Promise<RestorePoint> {
  return find(vault, text, ({ point }) => readPoint(vault, point));
}

/** As `findPoint`, without the topology, which is not read. */
export async function findListedPoint(vault: Vault, text: string): Promise<RestorePoint> {
  return find(vault, text, (found) => readListedPoint(vault, found));
}

async function find(vault: Vault, text: string, read: (found: CommittedPoint) => Promise<RestorePoint>) {
  const argument = readPointArgument(text);
  const point = await read(selectEvenDeleted(vault.journal.state(), argument));
  return { ...point, disks: selectDisks(point, argument.disk) };
}

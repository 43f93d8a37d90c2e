import { planNow } from '../../retention/apply-retention.ts';
import { selectDeleted } from '../arguments/select-points.ts';
import type { DeletingVault } from './delete-points.ts';

export interface UndeletionReport {
  readonly points: readonly {
    readonly id: string;
    readonly group: string;
    readonly takenAt: string;
    /** No rule keeps it: retention deletes it again. */
    readonly goesAgain: boolean;
  }[];
}

/** Brings deleted points back, all or none. Throws `point-unknown` for one that is not deleted or gone for good, and what the journal throws. */
export async function undeletePoints(
  vault: DeletingVault,
  texts: readonly string[],
  now: Date,
): Promise<UndeletionReport> {
  const chosen = selectDeleted(await vault.journal.refresh(), texts);
  const ids = chosen.map(({ run }) => run);
  await vault.journal.append((head) => {
    const points = selectDeleted(head, ids).map(({ run }) => run);
    return { type: 'points-undeleted', points, at: now.toISOString() };
  });
  const going = new Set<string>();
  for (const group of new Set(chosen.map((point) => point.group))) {
    for (const run of (await planNow(vault, group, now)).going) going.add(run);
  }
  const points = chosen.map(({ run, group, takenAt }) => ({ id: run, group, takenAt, goesAgain: going.has(run) }));
  return { points };
}

import { codeOf } from '#vault/errors.ts';
import { placeReadHold, releaseReadHold } from '#vault/journal/read-holds.ts';
import type { Vault } from '#vault/vault.ts';

type Journaled = Pick<Vault, 'journal'>;

/** The hold of a restore, whichever process places it. */
function holdOf(restore: string): string {
  return `read-restore-${restore}`;
}

/** From now on the point is not condemned, until the restore has ended. Idempotent. Throws `point-unknown`, and what the journal throws. */
export function holdPoint({ journal }: Journaled, restore: string, point: string, now: Date): Promise<void> {
  const placed = { hold: holdOf(restore), points: [point], reason: 'restore', host: 'catalog' };
  return placeReadHold(journal, { ...placed, process: `restore ${restore}` }, now);
}

/** A hold that cannot be released keeps a point for longer, and does no other harm: `ekko release` ends it. */
export async function releasePoint({ journal }: Journaled, restore: string, now: Date): Promise<void> {
  try {
    await releaseReadHold(journal, holdOf(restore), now);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

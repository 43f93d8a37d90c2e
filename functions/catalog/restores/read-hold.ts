import { codeOf } from '#vault/errors.ts';
import type { Vault } from '#vault/vault.ts';

type Journaled = Pick<Vault, 'journal'>;

/** The hold of a restore, whichever process places it. */
function holdOf(restore: string): string {
  return `read-restore-${restore}`;
}

/** From now on the point is not condemned, until the restore has ended. Idempotent. Throws `point-unknown`, and what the journal throws. */
export async function holdPoint({ journal }: Journaled, restore: string, point: string, now: Date): Promise<void> {
  const hold = holdOf(restore);
  const placed = { hold, kind: 'read', points: [point], reason: 'restore', host: 'catalog' } as const;
  try {
    await journal.append((head) => {
      if (head.holds.has(hold)) throw new Held();
      return { type: 'hold-placed', ...placed, process: `restore ${restore}`, at: now.toISOString() };
    });
  } catch (error) {
    if (!(error instanceof Held)) throw error;
  }
}

class Held extends Error {}

/** A hold that cannot be released keeps a point for longer, and does no other harm: `ekko release` ends it. */
export async function releasePoint({ journal }: Journaled, restore: string, now: Date): Promise<void> {
  const hold = holdOf(restore);
  try {
    if (!(await journal.refresh()).holds.has(hold)) return;
    await journal.append(() => ({ type: 'hold-released', hold, at: now.toISOString() }));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

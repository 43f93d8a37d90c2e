import { isDeepStrictEqual } from 'node:util';
import type { Hold } from './state.ts';
import type { VaultJournal } from './vault-journal.ts';

export type ReadHold = Omit<Hold, 'kind' | 'at'>;

/**
 * From now on the points of the hold are not condemned, until it is released. One of that name that stands on them is as good; one on
 * other points is released first. Throws `point-unknown`, and what the journal throws.
 */
export async function placeReadHold(journal: VaultJournal, wanted: ReadHold, now: Date): Promise<void> {
  try {
    await journal.append(({ holds }) => {
      const standing = holds.get(wanted.hold);
      if (standing?.kind === 'read') throw new Standing(standing.points);
      return { type: 'hold-placed', kind: 'read', ...wanted, at: now.toISOString() };
    });
  } catch (error) {
    if (!(error instanceof Standing)) throw error;
    if (isDeepStrictEqual(error.points, wanted.points)) return;
    await releaseReadHold(journal, wanted.hold, now);
    await placeReadHold(journal, wanted, now);
  }
}

/** Where there is no such hold, nothing is written. Throws what the journal throws. */
export async function releaseReadHold(journal: VaultJournal, hold: string, now: Date): Promise<void> {
  try {
    await journal.append(({ holds }) => {
      if (holds.get(hold)?.kind !== 'read') throw new Gone();
      return { type: 'hold-released', hold, at: now.toISOString() };
    });
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
}

class Standing extends Error {
  readonly points: readonly string[];

  constructor(points: readonly string[]) {
    super('There is a hold of that name.');
    this.points = points;
  }
}

class Gone extends Error {}

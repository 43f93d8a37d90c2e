import { EkkoError } from '../errors.ts';
import { newestEpoch, type VaultState } from '../journal/state.ts';
import type { VaultJournal } from '../journal/vault-journal.ts';
import type { FreshPack } from './fresh-packs.ts';

/** A move that is written, and the packs that it leads to. */
export interface WrittenMove {
  /** Name of its record. */
  readonly name: string;
  readonly fresh: readonly FreshPack[];
  /** As it was before anything was written. */
  readonly state: VaultState;
}

/** Names of the packs that a head lets be moved; undefined where that cannot be said yet. Those condemned or moved are left out anyway. */
export type Movable = (head: VaultState) => readonly string[] | undefined;

/**
 * Names of the packs that were moved, none where none may be; `overtaken` where the new packs are condemned, or might have been and been
 * forgotten (names are forgotten when the key is rotated): they must be written anew; `undecided` where `movable` could not say.
 */
export type AppendedMove = readonly string[] | 'overtaken' | 'undecided';

/** Decides on the newest head which packs are moved, and appends `packs-moved` (`docs/safety.md`, rule 5). Throws what appending throws. */
export async function appendMove(
  journal: VaultJournal,
  move: WrittenMove,
  movable: Movable,
  now: Date,
): Promise<AppendedMove> {
  let outcome: AppendedMove = 'undecided';
  try {
    await journal.append((head) => {
      outcome = judge(head, move, movable);
      if (typeof outcome === 'string' || outcome.length === 0) throw new Refrain();
      return { type: 'packs-moved', move: move.name, packs: outcome, at: now.toISOString() };
    });
  } catch (error) {
    if (!(error instanceof Refrain)) throw error;
  }
  return outcome;
}

/** Leaves the append loop without an entry. */
class Refrain extends Error {}

function judge(head: VaultState, { name, fresh, state }: WrittenMove, movable: Movable): AppendedMove {
  const packs = movable(head);
  if (packs === undefined) return 'undecided';
  const ours = [name, ...fresh.map((pack) => pack.name)];
  if (newestEpoch(head) !== newestEpoch(state) || ours.some((each) => head.condemned.has(each))) return 'overtaken';
  return packs.filter((pack) => !head.condemned.has(pack) && !head.moved.has(pack));
}

/** What is thrown when a move was overtaken too often in a row. */
export function overtaken(): EkkoError {
  return new EkkoError(
    'condemned',
    'Sweeps beside it took the new packs for left-overs, again and again. Nothing is lost; try again when no sweep runs.',
  );
}

/** How often packs are written anew because a sweep took them for orphans. */
export const MOST_MOVE_TRIES = 4;

import type { PackReference } from '#vault/format/pack.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import type { NameTable } from '#vault/name-table.ts';
import type { VaultReader } from '#vault/records.ts';
import { type LiveCount, newLiveCount } from './count-live.ts';
import type { PageNotes } from './page-notes.ts';

/** What restore points need: from the points down to packs and moves. */
export interface Liveness {
  /** Whether a name is known not to be needed. Of pages, moves and packs that can be said only while there are no problems. */
  isDead(kind: LiveKind, name: string): boolean;
  /** Whether every point of a state, but for those given up, has been counted; without `used` also with every move that it knows. */
  covers(state: VaultState, givenUp: ReadonlySet<string>): boolean;
  /** Counts what `covers` misses. Throws `store-failed`. */
  count(state: VaultState, givenUp: ReadonlySet<string>): Promise<void>;
  /** Records that could not be read: what they need is not known, and nothing that they might need may be given up. */
  readonly problems: readonly LivenessProblem[];
}

/** In the order in which one names the next. */
export type LiveKind = 'points' | 'manifests' | 'pages' | 'moves' | 'packs';
export type LiveNames = Readonly<Record<LiveKind, NameTable>>;

export interface LivenessProblem {
  /** Key of the record. */
  readonly object: string;
  readonly message: string;
}

export interface LivenessOptions {
  /**
   * Called for each extent of each live page, perhaps more than once. Every page is read. Where segments lie is told as of the first count:
   * moves only take uses away from packs that were there by then.
   */
  readonly used?: (pack: PackReference, first: number, count: number) => void;
  /** What earlier sweeps noted of pages; without `used` only. */
  readonly notes?: PageNotes;
}

/** Nothing is counted yet. */
export function newLiveness(reader: VaultReader, options: LivenessOptions = {}): Liveness {
  let counted: LiveCount | undefined;
  const isOf = (count: LiveCount, state: VaultState) => options.used !== undefined || count.knows(state);
  return {
    get problems() {
      return counted?.problems ?? [];
    },
    isDead: (kind, name) =>
      counted !== undefined && (counted.problems.length === 0 || IN_JOURNAL.has(kind)) && !counted.live[kind].has(name),
    covers(state, givenUp) {
      const count = counted;
      return count !== undefined && isOf(count, state) && pointsOf(state, givenUp).every(count.hasPoint);
    },
    async count(state, givenUp) {
      // Where segments have moved since, what pages need is no longer what it was.
      const count =
        counted !== undefined && isOf(counted, state) ? counted : newLiveCount(reader, state.moved, options);
      // Until it has succeeded nothing is counted: half a count would pass for a whole one.
      counted = undefined;
      await count.add(pointsOf(state, givenUp));
      counted = count;
    },
  };
}

/** The points whose objects must stay: all but those given up. */
function pointsOf(state: VaultState, givenUp: ReadonlySet<string>): CommittedPoint[] {
  return [...state.points.values(), ...state.expired.values()].filter(({ run }) => !givenUp.has(run));
}

/** Kinds whose names the journal itself tells. */
const IN_JOURNAL: ReadonlySet<LiveKind> = new Set(['points', 'manifests']);

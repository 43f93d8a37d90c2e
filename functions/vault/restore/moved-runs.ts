import { codeOf } from '../errors.ts';
import { openStoredMoves, type PackMoves } from '../moves/pack-moves.ts';
import { openRedirects } from '../moves/redirects.ts';
import type { VaultReader } from '../records.ts';
import { contentKey, Folder, nameOf } from '../store/object-names.ts';
import type { MappedRun } from './span-extents.ts';

/** Leads readers to where segments lie now. */
export interface MoveFollower {
  /** Runs whose packs are those that hold the segments. What a move that cannot be read hides is `lost`. */
  follow(runs: AsyncIterable<MappedRun>): AsyncGenerator<MappedRun>;
  /**
   * Whether an object that could not be read is a pack that was moved, as the journal says by now: packs are moved and removed while
   * they are read. Looks at the journal once for each object.
   */
  wasMoved(object: string): Promise<boolean>;
}

export function openMoveFollower(reader: VaultReader): MoveFollower {
  const journal = reader.journal ?? openStoredMoves(reader);
  const redirects = openRedirects(reader, () => journal.state().moved);
  const asked = new Map<string, Promise<boolean>>();
  return {
    async *follow(runs) {
      for await (const run of runs) {
        if (run.kind !== 'packed') yield run;
        else {
          const pieces = await redirects.resolve(run).catch((error: unknown) => ({ error }));
          if ('error' in pieces) yield lostRun(run, journal, pieces.error);
          else yield* piecesOf(run.start, pieces);
        }
      }
    },
    wasMoved(object) {
      const asking = asked.get(object) ?? lookAgain(journal, object);
      asked.set(object, asking);
      return asking;
    },
  };
}

function* piecesOf(
  start: number,
  pieces: readonly { readonly pack: string; readonly first: number; readonly count: number }[],
): Generator<MappedRun> {
  let at = start;
  for (const piece of pieces) {
    yield { ...piece, kind: 'packed', start: at };
    at += piece.count;
  }
}

function lostRun(run: Extract<MappedRun, { kind: 'packed' }>, journal: PackMoves, error: unknown): MappedRun {
  if (codeOf(error) === undefined) throw error;
  const move = journal.state().moved.get(run.pack.slice(0, 64)) ?? '';
  return { kind: 'lost', start: run.start, count: run.count, object: contentKey(Folder.moves, move), error };
}

async function lookAgain(journal: PackMoves, object: string): Promise<boolean> {
  const name = object.startsWith(Folder.packs) ? nameOf(object) : undefined;
  if (name === undefined) return false;
  try {
    await journal.refresh();
  } catch (error) {
    // The journal is only asked for help: what is lost is the object, and that is what must be told.
    if (codeOf(error) === undefined) throw error;
  }
  return journal.state().moved.get(name) !== undefined;
}

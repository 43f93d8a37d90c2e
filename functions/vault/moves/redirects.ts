import { LRUCache } from 'lru-cache';
import { EkkoError } from '../errors.ts';
import { appendExtent, type Extent } from '../format/extents.ts';
import type { Move, MovedRun } from '../format/move.ts';
import { type PackReference, packName } from '../format/pack.ts';
import { readMove, type VaultReader } from '../records.ts';
import { contentKey, Folder } from '../store/object-names.ts';
import type { MovedPacks } from './pack-moves.ts';

/** Segments `first`, `first + 1`, … of a pack. */
export interface PackRun {
  readonly pack: PackReference;
  readonly first: number;
  readonly count: number;
}

/** What was met on the way to where segments lie. */
export interface Trail {
  /** Names of moves that were followed. */
  readonly moves: Set<string>;
  /** Name of the move that could not be, where that is why there is no answer. */
  failed?: string;
}

/** Follows moves. Keeps the last ones it has read. */
export interface Redirects {
  /**
   * Where the segments of a run lie: runs in the same order, of the same length together. Segments that no move lists are where the
   * page says, also in a pack that was moved. Throws `object-missing`, `damaged`, `bad-format` (also for moves that lead in a circle),
   * `wrong-key`, `store-failed`, each naming the move.
   */
  resolve(run: PackRun, trail?: Trail): Promise<readonly PackRun[]>;
  /** Extents with every pack resolved; what is continuous then is one extent. Throws as `resolve`. */
  resolveAll(extents: readonly Extent[], trail?: Trail): Promise<readonly Extent[]>;
}

/** Runs of moves kept in memory, at about 100 bytes each. */
const MOST_KEPT_RUNS = 200_000;

type LoadedMove = ReadonlyMap<PackReference, readonly MovedRun[]>;

/** `moved` is asked anew each time: it may learn. */
export function openRedirects(reader: VaultReader, moved: () => MovedPacks): Redirects {
  const loaded = new LRUCache<string, { readonly move: Promise<LoadedMove> }>({ max: 1024, maxSize: MOST_KEPT_RUNS });

  const load = (name: string): Promise<LoadedMove> => {
    const held = loaded.get(name);
    if (held !== undefined) return held.move;
    const entry = { move: readMove(reader, name).then(byPack) };
    loaded.set(name, entry, { size: 1 });
    entry.move.then(
      (move) => loaded.set(name, entry, { size: weightOf(move) }),
      // What failed once may be readable the next time.
      () => loaded.delete(name),
    );
    return entry.move;
  };

  async function* follow(run: PackRun, from: readonly string[], trail: Trail | undefined): AsyncGenerator<PackRun> {
    const pack = packName(run.pack);
    const name = moved().get(pack);
    if (name === undefined) return yield run;
    if (trail !== undefined) trail.failed = name;
    if (from.includes(pack)) throw circle(name, pack);
    const runs = (await load(name)).get(run.pack);
    if (trail !== undefined) delete trail.failed;
    for (const piece of split(run, runs ?? [])) {
      if (piece.target === undefined) yield piece.run;
      else {
        trail?.moves.add(name);
        yield* follow(piece.target, [...from, pack], trail);
      }
    }
  }

  async function resolve(run: PackRun, trail?: Trail): Promise<readonly PackRun[]> {
    if (moved().get(packName(run.pack)) === undefined) return [run];
    return Array.fromAsync(follow(run, [], trail));
  }

  return {
    resolve,
    async resolveAll(extents, trail) {
      if (!extents.some(({ pack }) => pack !== undefined && moved().get(packName(pack)) !== undefined)) return extents;
      const result: Extent[] = [];
      for (const extent of extents) {
        if (extent.pack === undefined) appendExtent(result, extent);
        else for (const piece of await resolvedExtent(resolve, extent, extent.pack, trail)) appendExtent(result, piece);
      }
      return result;
    },
  };
}

async function resolvedExtent(
  resolve: Redirects['resolve'],
  { start, count, first }: Extent,
  pack: PackReference,
  trail: Trail | undefined,
): Promise<Extent[]> {
  let at = start;
  return (await resolve({ pack, first, count }, trail)).map((run) => {
    const piece = { ...run, start: at };
    at += run.count;
    return piece;
  });
}

interface Piece {
  readonly run: PackRun;
  /** Undefined: the move does not list the segments. */
  readonly target: PackRun | undefined;
}

/** A run cut where the runs of a move begin and end. */
function* split({ pack, first, count }: PackRun, runs: readonly MovedRun[]): Generator<Piece> {
  const end = first + count;
  let at = first;
  const stay = (to: number): Piece => ({ run: { pack, first: at, count: to - at }, target: undefined });
  for (const moved of runs) {
    const from = Math.max(at, moved.first);
    const to = Math.min(end, moved.first + moved.count);
    if (from >= to) continue;
    if (from > at) yield stay(from);
    const run = { pack, first: from, count: to - from };
    yield { run, target: { pack: moved.target, first: moved.targetFirst + from - moved.first, count: to - from } };
    at = to;
  }
  if (at < end) yield stay(end);
}

function byPack({ packs }: Move): LoadedMove {
  return new Map(packs.map(({ pack, runs }) => [pack, runs]));
}

function weightOf(move: LoadedMove): number {
  return [...move.values()].reduce((sum, runs) => sum + runs.length, 1);
}

function circle(move: string, pack: string): EkkoError {
  const key = contentKey(Folder.moves, move);
  return new EkkoError('bad-format', `${key} leads back to pack ${pack}, out of which segments were moved before.`);
}

import { EkkoError } from '../errors.ts';
import { SEGMENTS_PER_PART } from '../words.ts';
import { ByteReader, u32Bytes } from './bytes.ts';
import { type PackReference, packName } from './pack.ts';

/**
 * The body of a move record: where segments lie that were copied out of packs (`docs/format.md`, "Moves"). Segments that it does not
 * list are where they were.
 */
export interface Move {
  readonly packs: readonly MovedPack[];
}

export interface MovedPack {
  /** The pack that the segments were copied out of. */
  readonly pack: PackReference;
  /** Ascending by `first`, without overlap. */
  readonly runs: readonly MovedRun[];
}

/** Segments `first`, `first + 1`, … of the old pack are segments `targetFirst`, … of `target`. */
export interface MovedRun {
  readonly first: number;
  readonly count: number;
  readonly target: PackReference;
  readonly targetFirst: number;
}

/** Old packs of one move: bounds what a reader must load to follow one of them. */
export const MOST_MOVED_PACKS = 256;
const MOST_TARGETS = MOST_MOVED_PACKS * SEGMENTS_PER_PART;
const REFERENCE_SIZE = 48;

export function encodeMove({ packs }: Move): Buffer {
  const targets = new Map<PackReference, number>();
  const numberOf = (target: PackReference) => {
    const number = targets.get(target) ?? targets.size;
    targets.set(target, number);
    return number;
  };
  const lists = packs.map(({ runs }) => {
    const fields = runs.flatMap((run) => [run.first, run.count, numberOf(run.target), run.targetFirst]);
    return u32Bytes([runs.length, ...fields]);
  });
  const references = Buffer.from([...packs.map(({ pack }) => pack), ...targets.keys()].join(''), 'hex');
  if (references.length !== (packs.length + targets.size) * REFERENCE_SIZE) {
    throw new EkkoError('bad-input', 'A move names something that is not the reference of a pack.');
  }
  return Buffer.concat([u32Bytes([packs.length, targets.size]), references, ...lists]);
}

/** Throws `bad-format`: runs out of order or beyond their packs, a pack twice, or one that is moved into a pack of the same move. */
export function decodeMove(body: Uint8Array, origin: string): Move {
  const reader = new ByteReader(body, origin);
  const count = reader.count(MOST_MOVED_PACKS, 'packs');
  const targetCount = reader.count(MOST_TARGETS, 'targets');
  const reference = () => reader.take(REFERENCE_SIZE).toString('hex');
  const olds = Array.from({ length: count }, reference);
  const targets = Array.from({ length: targetCount }, reference);
  checkNames(reader, olds, targets);
  const packs = olds.map((pack) => ({ pack, runs: readRuns(reader, targets) }));
  reader.end();
  return { packs };
}

function checkNames(reader: ByteReader, olds: readonly PackReference[], targets: readonly PackReference[]): void {
  const names = new Set(olds.map(packName));
  if (names.size !== olds.length) throw reader.refuse('moves a pack twice');
  const own = targets.find((target) => names.has(packName(target)));
  if (own !== undefined) throw reader.refuse(`moves segments into pack ${packName(own)}, which it empties`);
}

function readRuns(reader: ByteReader, targets: readonly PackReference[]): MovedRun[] {
  const runs: MovedRun[] = [];
  let free = 0;
  for (let left = reader.count(SEGMENTS_PER_PART, 'runs of a pack'); left > 0; left--) {
    const [first, count, number, targetFirst] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
    const target = targets[number];
    if (target === undefined) throw reader.refuse(`names target ${number} of ${targets.length}`);
    const fits = first >= free && count > 0 && first + count <= SEGMENTS_PER_PART;
    if (!fits || targetFirst + count > SEGMENTS_PER_PART) {
      throw reader.refuse(`moves segments ${first}+${count} of a pack to ${targetFirst}`);
    }
    free = first + count;
    runs.push({ first, count, target, targetFirst });
  }
  return runs;
}

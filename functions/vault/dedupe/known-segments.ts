import { EkkoError } from '../errors.ts';
import type { KnownData } from '../format/known-data.ts';
import { ID_SIZE, type PackReference, packName } from '../format/pack.ts';
import type { VaultReader } from '../records.ts';
import type { SegmentRun } from '../words.ts';
import { type Ancestor, openLineage } from './lineage.ts';
import { idText, type KnownPack, openPackIndexes } from './pack-indexes.ts';
import { isZero, segmentId } from './segment-id.ts';
import { championsOf, samplesOf } from './similarity.ts';

/** A segment that the vault already has. */
export interface KnownSegment {
  readonly pack: PackReference;
  readonly number: number;
}

/** The carried segments of one part in order, their ids, and where they lie on the disk. */
export interface PartContent {
  /** None where only ids are known. */
  readonly segments: readonly Uint8Array[];
  readonly ids: readonly Buffer[];
  /** Key epoch that the ids are made under. */
  readonly epoch: number;
  readonly runs: readonly SegmentRun[];
  readonly lineage: string | undefined;
  /** Packs that may have them, beside those that are found. */
  readonly packs?: readonly PackReference[];
}

/** What is known of a part's segments. */
export interface PartKnowledge {
  /** Where the vault has carried segment `i`, or undefined. Prefers the disk's own ancestor, then the segment after `previous`. */
  find(i: number, previous: KnownSegment | undefined): KnownSegment | undefined;
  /** Whether carried segment `i`, which is all `zero` or not, is the same as in the lineage's state; undefined where that cannot be read. */
  unchanged(i: number, zero: boolean): boolean | undefined;
}

export interface KnownSegments {
  /** Looks up a part in a handful of requests, whatever the size of the vault. A pack whose name `skip` knows is never answered. */
  look(content: PartContent, skip: (name: string) => boolean): Promise<PartKnowledge>;
  /**
   * Where segments lie that a part of key epoch `epoch` tells by their ids: in packs that it names and `skip` does not know, by these ids alone,
   * which only somebody can tell who has the segments. Throws `part-refused` where one is in none of them, naming `origin`.
   */
  locate(told: KnownData, epoch: number, skip: (name: string) => boolean, origin: string): Promise<KnownSegment[]>;
}

/** Packs of the disk's own past to load for one part. A scattered incremental names more; there, lineage has little to give. */
const MOST_ANCESTORS = 16;

/**
 * Dedupe without a database: lineage, then similarity. Caches indexes and pages for as long as it lives. Ids of different key
 * epochs have nothing in common: what a segment of an older epoch holds is compared, but never referred to anew.
 */
export function openKnownSegments(reader: VaultReader): KnownSegments {
  const indexes = openPackIndexes(reader);
  const lineage = openLineage(reader);

  const keysOf = ({ epoch, reference }: KnownPack) => reader.keyring.epoch(epoch, packName(reference));

  const load = async (names: readonly string[]): Promise<KnownPack[]> => {
    const packs = await Promise.all(names.map((name) => indexes.get(name)));
    return packs.filter((pack) => pack !== undefined);
  };

  return {
    async look({ segments, ids, epoch, runs, lineage: manifest, packs: named = [] }, skip) {
      const ancestors = manifest === undefined ? [] : await lineage.ancestors(manifest, runs);
      const own = await load(mostNamed(ancestors, skip));
      const ownPacks = new Map(own.map((pack) => [pack.reference, pack]));
      const texts = ids.map(idText);
      const textUnder = (pack: KnownPack, i: number) => {
        const segment = segments[i];
        return pack.epoch === epoch || segment === undefined ? texts[i] : idText(segmentId(keysOf(pack), segment));
      };
      const isOwn = (i: number) => ownSegment(ancestors[i], ownPacks, texts[i]);
      const strangers = ids.filter((_, i) => {
        const segment = segments[i];
        // What is zero lies in no pack, and is no sample of one.
        return isOwn(i) === undefined && (segment === undefined || !isZero(segment));
      });
      const champions = await championsOf(reader.store, samplesOf(strangers), skip);
      const others = new Set([...named.filter((pack) => !skip(packName(pack))), ...champions]);
      for (const { reference } of own) others.delete(reference);
      const packs = [...own, ...(await load([...others]))];
      return {
        find: (i, previous) => isOwn(i) ?? following(packs, previous, texts[i]) ?? anywhere(packs, texts[i]),
        unchanged: (i, zero) =>
          ancestors[i] === 'zero' ? zero : compare(ancestors[i], ownPacks, (pack) => textUnder(pack, i)),
      };
    },
    async locate({ packs: named, ids }, epoch, skip, origin) {
      const packs = (await load(named.filter((pack) => !skip(packName(pack))))).filter((pack) => pack.epoch === epoch);
      const found: KnownSegment[] = [];
      for (let at = 0; at < ids.length; at += ID_SIZE) {
        const id = idText(ids.subarray(at, at + ID_SIZE));
        const segment = following(packs, found.at(-1), id) ?? anywhere(packs, id);
        if (segment === undefined) throw notThere(origin, found.length);
        found.push(segment);
      }
      return found;
    },
  };
}

function notThere(origin: string, number: number): EkkoError {
  return new EkkoError(
    'part-refused',
    `${origin} does not carry a segment (the ${number + 1}. of those) that none of the packs which it names holds, or not any more: a sweep or a new key ` +
      'may have come in between. The run cannot commit it; the next one sends it.',
  );
}

function mostNamed(ancestors: readonly Ancestor[], skip: (name: string) => boolean): string[] {
  const counts = new Map<string, number>();
  for (const ancestor of ancestors) {
    if (ancestor === undefined || ancestor === 'zero' || skip(packName(ancestor.pack))) continue;
    counts.set(ancestor.pack, (counts.get(ancestor.pack) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST_ANCESTORS)
    .map(([pack]) => pack);
}

function ownSegment(
  ancestor: Ancestor,
  own: ReadonlyMap<string, KnownPack>,
  id: string | undefined,
): KnownSegment | undefined {
  if (ancestor === undefined || ancestor === 'zero') return undefined;
  return id !== undefined && own.get(ancestor.pack)?.idText(ancestor.number) === id ? ancestor : undefined;
}

function compare(
  ancestor: Ancestor,
  own: ReadonlyMap<string, KnownPack>,
  idIn: (pack: KnownPack) => string | undefined,
): boolean | undefined {
  if (ancestor === undefined || ancestor === 'zero') return undefined;
  const pack = own.get(ancestor.pack);
  const held = pack?.idText(ancestor.number);
  return pack === undefined || held === undefined ? undefined : held === idIn(pack);
}

function following(
  packs: readonly KnownPack[],
  previous: KnownSegment | undefined,
  id: string | undefined,
): KnownSegment | undefined {
  if (previous === undefined || id === undefined) return undefined;
  const pack = packs.find(({ reference }) => reference === previous.pack);
  const number = previous.number + 1;
  return pack?.idText(number) === id ? { pack: previous.pack, number } : undefined;
}

function anywhere(packs: readonly KnownPack[], id: string | undefined): KnownSegment | undefined {
  if (id === undefined) return undefined;
  for (const pack of packs) {
    const number = pack.segmentOf.get(id);
    if (number !== undefined) return { pack: pack.reference, number };
  }
  return undefined;
}

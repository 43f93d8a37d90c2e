import type { KeyObject } from 'node:crypto';
import { isZero, segmentId } from '../dedupe/segment-id.ts';
import type { PackReference } from '../format/pack.ts';
import { SEGMENT_SIZE, type SegmentRun } from '../words.ts';
import type { ReadStep } from './read-ahead.ts';
import { createRunBuilder } from './segment-runs.ts';

/** Segments that somebody has in hand, for whoever can look into the vault. */
export interface VaultQuestion {
  /** The manifest that they probably resemble. */
  readonly lineage: string | undefined;
  /** Where they lie on the disk, ascending. */
  readonly runs: readonly SegmentRun[];
  /** Of the segments of `runs`, in order. */
  readonly ids: readonly Buffer[];
  /** Packs that had what lay before: what follows often lies in the same ones. */
  readonly packs: readonly PackReference[];
}

/** Which pack has the segment, for each in order; undefined where the vault is not known to have it. */
export type VaultAnswer = readonly (PackReference | undefined)[];

/** Whoever answers for the vault, and the key that ids are made with. */
export interface VaultKnowledge {
  /** Secret: who has it can tell from an id whether a content is the one. */
  readonly idKey: KeyObject;
  ask(question: VaultQuestion): Promise<VaultAnswer>;
}

/** A segment that the vault has. */
export interface KnownContent {
  readonly id: Buffer;
  readonly pack: PackReference;
}

/** As a `ReadStep`; of data, what the vault is known to have, by the segment's place in the run. */
export type AskedStep = ReadStep & { readonly known?: ReadonlyMap<number, KnownContent> };

/** Bytes asked about at once: 256 segments. */
const QUESTION_SIZE = 256 * SEGMENT_SIZE;
/** Steps of one question: those that are all zero are not asked about, and keep nothing waiting for ever. */
const QUESTION_STEPS = 1024;
/** Packs that the next question names. */
const MOST_RECENT = 16;
/** Questions under way while the next is being gathered. */
const QUESTIONS_AHEAD = 1;

/**
 * The same steps in the same order, with what the vault has of their data. Memory: two questions of 16 MiB. `bytes` of a step are valid until
 * the next one is asked for. An answer that does not come is no error: from then on nothing is asked, and everything sent.
 */
export async function* askFirst(
  steps: AsyncIterable<ReadStep>,
  lineage: string | undefined,
  knowledge: VaultKnowledge,
): AsyncGenerator<AskedStep> {
  let mute = false;
  let recent: readonly PackReference[] = [];
  const answered = async (gathered: readonly ReadStep[]): Promise<readonly AskedStep[]> => {
    if (mute) return gathered;
    try {
      const steps = await askAbout(gathered, { lineage, packs: recent }, knowledge);
      recent = packsOf(steps).slice(0, MOST_RECENT);
      return steps;
    } catch {
      mute = true;
      return gathered;
    }
  };
  const waiting: Promise<readonly AskedStep[]>[] = [];
  for await (const gathered of inQuestions(steps)) {
    waiting.push(answered(gathered));
    if (waiting.length > QUESTIONS_AHEAD) yield* (await waiting.shift()) ?? [];
  }
  for (const rest of waiting) yield* await rest;
}

/** Steps that are asked about together, with their bytes in memory that is used again when all questions ahead of it are through. */
async function* inQuestions(steps: AsyncIterable<ReadStep>): AsyncGenerator<ReadStep[]> {
  const memories = Array.from({ length: QUESTIONS_AHEAD + 1 }, () => Buffer.allocUnsafeSlow(QUESTION_SIZE));
  let gathered: ReadStep[] = [];
  let [turn, used] = [0, 0];
  for await (const step of steps) {
    const more = step.kind === 'zero' ? 0 : step.bytes.length;
    if (gathered.length === QUESTION_STEPS || used + more > QUESTION_SIZE) {
      yield gathered;
      [gathered, used] = [[], 0];
      turn++;
    }
    const bytes = memories[turn % memories.length]?.subarray(used, used + more) ?? Buffer.alloc(0);
    if (step.kind !== 'zero') bytes.set(step.bytes);
    gathered.push(step.kind === 'zero' ? step : { ...step, bytes });
    used += more;
  }
  if (gathered.length > 0) yield gathered;
}

interface Candidate {
  readonly step: ReadStep;
  readonly at: number;
  readonly id: Buffer;
}

async function askAbout(
  steps: readonly ReadStep[],
  hints: Pick<VaultQuestion, 'lineage' | 'packs'>,
  { idKey, ask }: VaultKnowledge,
): Promise<readonly AskedStep[]> {
  const candidates = steps.flatMap((step) => candidatesOf(step, idKey));
  if (candidates.length === 0) return steps;
  const { runs, add } = createRunBuilder();
  for (const { step, at } of candidates) add((step.run.first + at) * SEGMENT_SIZE, SEGMENT_SIZE);
  const answer = await ask({ ...hints, runs, ids: candidates.map(({ id }) => id) });
  const known = new Map<ReadStep, Map<number, KnownContent>>();
  for (const [i, { step, at, id }] of candidates.entries()) {
    const pack = answer[i];
    if (pack === undefined) continue;
    const ofStep = known.get(step) ?? new Map<number, KnownContent>();
    known.set(step, ofStep.set(at, { id, pack }));
  }
  return steps.map((step) => {
    const ofStep = known.get(step);
    return ofStep === undefined ? step : { ...step, known: ofStep };
  });
}

/** Those of the last segments first. */
function packsOf(steps: readonly AskedStep[]): PackReference[] {
  const named = steps.flatMap(({ known }) => [...(known?.values() ?? [])].map(({ pack }) => pack));
  return [...new Set(named.reverse())];
}

/** What is audited is always sent: it is read to be compared. */
function candidatesOf(step: ReadStep, idKey: KeyObject): Candidate[] {
  if (step.kind !== 'data') return [];
  const candidates: Candidate[] = [];
  for (let at = 0; at < step.run.count; at++) {
    const segment = step.bytes.subarray(at * SEGMENT_SIZE, (at + 1) * SEGMENT_SIZE);
    if (!isZero(segment)) candidates.push({ step, at, id: segmentId({ idKey }, segment) });
  }
  return candidates;
}

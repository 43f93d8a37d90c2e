import { type Condemned, MOST_NAMES } from '#vault/journal/entries.ts';
import type { ExpiredPoint, VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { stillDue } from './expiring-points.ts';
import { type ByKind, emptyByKind, type FoundObject, KINDS } from './inventory.ts';
import type { LiveKind, Liveness } from './liveness.ts';

/** What is to be condemned, as it looked when it was found. */
export interface Sentence {
  readonly due: readonly ExpiredPoint[];
  /** Objects that no point needs, once those due are gone. */
  readonly objects: ByKind;
}

export interface Condemnation {
  /** Runs of the points that are gone now. */
  readonly points: readonly string[];
  readonly objects: ByKind;
}

/**
 * Appends what is to be condemned, nothing before what names it, in as many entries as it takes. Each entry is decided on the newest
 * state: what has become live until then is left out, and where that is not known, it is found out first. Resolves to what
 * has been condemned. Throws what appending and counting throw; what was appended by then stands.
 */
export async function condemn(vault: Vault, sentence: Sentence, liveness: Liveness, now: Date): Promise<Condemnation> {
  const queue = queueOf(sentence);
  const done = { points: new Set<string>(), objects: emptyByKind() };
  for (let at = 0; at < queue.length; ) {
    const step = await appendNext(vault, sentence.due, queue, at, liveness, now);
    if (step.kind === 'uncounted') await liveness.count(vault.journal.state(), step.due);
    else {
      for (const { kind, run, ...object } of step.chosen) {
        if (run !== undefined) done.points.add(run);
        else done.objects[kind].push(object);
      }
      at = step.next;
    }
  }
  return { points: [...done.points], objects: done.objects };
}

/** A name to condemn; with `run`, that of an expired point, whether its record is in the store or not. */
interface Candidate extends FoundObject {
  readonly kind: LiveKind;
  readonly run: string | undefined;
}

function queueOf({ due, objects }: Sentence): Candidate[] {
  const points = due.map(({ run, point }): Candidate => ({ kind: 'points', name: point, size: 0, run }));
  const rest = KINDS.flatMap((kind) => objects[kind].map((object): Candidate => ({ ...object, kind, run: undefined })));
  return [...points, ...rest];
}

type Step =
  | { readonly kind: 'uncounted'; readonly due: ReadonlySet<string> }
  | { readonly kind: 'done'; readonly chosen: readonly Candidate[]; readonly next: number };

/** One entry from the candidates behind `at`; none where all of them have been saved or condemned meanwhile. */
async function appendNext(
  { journal }: Vault,
  wanted: readonly ExpiredPoint[],
  queue: readonly Candidate[],
  at: number,
  liveness: Liveness,
  now: Date,
): Promise<Step> {
  let step: Step | undefined;
  try {
    await journal.append((head) => {
      // Points stand first in the queue. One that has been passed over was brought back or held at that moment: it is a point like any other.
      const due = stillDue(head, wanted.slice(at));
      if (!liveness.covers(head, due)) throw new Refrain({ kind: 'uncounted', due });
      const { chosen, next } = choose(queue, at, head, due, liveness);
      step = { kind: 'done', chosen, next };
      if (chosen.length === 0) throw new Refrain(step);
      return entryOf(chosen, now);
    });
  } catch (error) {
    if (error instanceof Refrain) return error.step;
    throw error;
  }
  if (step === undefined) throw new RangeError('The journal appended without asking what.');
  return step;
}

/** Leaves the append loop without an entry. */
class Refrain extends Error {
  readonly step: Step;

  constructor(step: Step) {
    super('Nothing to append.');
    this.step = step;
  }
}

function choose(
  queue: readonly Candidate[],
  at: number,
  head: VaultState,
  due: ReadonlySet<string>,
  liveness: Liveness,
): { chosen: Candidate[]; next: number } {
  const chosen: Candidate[] = [];
  let next = at;
  for (; next < queue.length && chosen.length < MOST_NAMES; next++) {
    const candidate = queue[next];
    if (candidate !== undefined && mayGo(candidate, head, due, liveness)) chosen.push(candidate);
  }
  return { chosen, next };
}

function mayGo(
  { kind, name, run }: Candidate,
  head: VaultState,
  due: ReadonlySet<string>,
  liveness: Liveness,
): boolean {
  if (head.condemned.has(name)) return false;
  return run === undefined ? liveness.isDead(kind, name) : due.has(run);
}

function entryOf(chosen: readonly Candidate[], now: Date): Condemned {
  const names = (kind: LiveKind) => chosen.filter((candidate) => candidate.kind === kind).map(({ name }) => name);
  return {
    type: 'condemned',
    packs: names('packs'),
    pages: names('pages'),
    manifests: names('manifests'),
    points: names('points'),
    moves: names('moves'),
    at: now.toISOString(),
  };
}

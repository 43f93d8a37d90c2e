import { Folder, nameOf } from '#vault/store/object-names.ts';
import type { Accesses } from './accesses.ts';
import { type Instance, type Outcome, type Place, type Script, type Stage, start } from './scheduler.ts';
import type { Answer, Step } from './stepping-store.ts';
import { numberOf } from './versions.ts';

/**
 * A script as the exploration knows it: a tree of what its code did after each sequence of answers, learned by running that code.
 * Code that is a function of what it is told need not be run again to know what it does: interleavings share what is known.
 */
export interface Automaton {
  readonly script: Script;
  /** The beginning of a stage, begun for the `attempt`-th time (from 0). */
  root(stage: number, attempt: number): Promise<Node>;
  /** What the script did when a parked step was answered so, if that is known. */
  known(node: Node, step: number, answer: Answer): Node | undefined;
  /** Runs the code to find out. */
  learn(node: Node, step: number, answer: Answer): Promise<Node>;
  /**
   * All accesses that have been seen from here on, also of later stages; of later attempts where the script may still die, or may be told
   * that the store failed. A set of bits, see `Accesses`.
   */
  future(node: Node, mayDie: boolean): bigint;
  /** Remembers that somebody relied on none of these accesses coming from here on; what is learned later may betray it. */
  rely(node: Node, accesses: bigint, mayDie: boolean): void;
  /** Runs of the code so far, replays included. */
  runs(): number;
}

/** A script standing still between two steps. */
export interface Node {
  readonly number: number;
  readonly stage: number;
  readonly attempt: number;
  readonly parked: readonly Step[];
  /** Set when the stage has ended. */
  readonly outcome: Outcome | undefined;
}

interface Move {
  readonly step: number;
  readonly answer: Answer;
}

interface Branch extends Node {
  readonly parent: Branch | undefined;
  /** What led here from the parent. */
  readonly move: Move | undefined;
  readonly children: Map<string, Branch>;
  /** Accesses of this node's steps and of all nodes below. */
  below: bigint;
  /** What must not come to be in `below`. */
  excluded: bigint;
  /** Names that it has read, or written, to be condemned. */
  readonly condemned: ReadonlySet<string>;
  /** Whether it was told on the way here that the store failed: only then it may say so itself, and be begun again. */
  readonly toldFailed: boolean;
}

/** Shared by the automata of one exploration. */
export interface Numbering {
  readonly accesses: Accesses;
  /** Called when an access is learned that somebody relied on not to come. */
  readonly betrayed: () => void;
  nextNode(): number;
}

export function newAutomaton(place: Place, script: Script, { accesses, betrayed, nextNode }: Numbering): Automaton {
  const lives = new Map<string, Life>();
  const listings = new Map<string, number>();
  let runs = 0;
  /** What somebody who saw an earlier stage relied on not to come, and what one did who saw an earlier attempt. */
  let excludedLater = 0n;
  let excludedAgain = 0n;

  const stageOf = (index: number): Stage => {
    const stage = script.stages[index];
    if (stage === undefined) throw new RangeError(`${script.name} has no stage ${index}.`);
    return stage;
  };
  const lifeOf = (stage: number, attempt: number): Life => {
    const name = `${stage} ${attempt}`;
    const life = lives.get(name) ?? { memory: Buffer.allocUnsafeSlow(MEMORY), root: undefined, at: undefined };
    lives.set(name, life);
    return life;
  };
  const begin = (node: Pick<Node, 'stage' | 'attempt'>, life: Life): Promise<Instance> => {
    runs++;
    const seed = `${script.name} ${node.stage} ${node.attempt}`;
    return start(place, stageOf(node.stage), seed, life.memory);
  };
  const add = (
    instance: Instance,
    { stage, attempt }: Pick<Node, 'stage' | 'attempt'>,
    parent?: Branch,
    move?: Move,
  ): Branch => {
    const condemned = parent === undefined || move === undefined ? place.condemned : learned(place, parent, move);
    const parked = instance.parked().map((step) => marked(step, condemned));
    const outcome = instance.outcome();
    const seen = parked.reduce((set, step) => set | accesses.of(step), 0n);
    const node = {
      number: nextNode(),
      stage,
      attempt,
      parent,
      move,
      parked,
      outcome,
      children: new Map(),
      below: seen,
      excluded: 0n,
      condemned,
      toldFailed: parent?.toldFailed === true || move?.answer.kind === 'failed',
    };
    let above = parent;
    for (; above !== undefined && (above.below | seen) !== above.below; above = above.parent) {
      if ((above.excluded & seen & ~above.below) !== 0n) betrayed();
      above.below |= seen;
    }
    const relied = attempt > 0 ? excludedAgain : excludedLater;
    if (above === undefined && (relied & seen) !== 0n && (stage > 0 || attempt > 0)) betrayed();
    return node;
  };
  /** An instance that stands at the node: the one that went there last, or a new one that is led there. */
  const instanceAt = async (node: Branch, life: Life): Promise<Instance> => {
    if (life.at?.node === node) return life.at.instance;
    const instance = await begin(node, life);
    for (const { step, answer } of pathTo(node)) await instance.answer(step, answer);
    return instance;
  };
  const nameOf = (step: number, answer: Answer): string => `${step} ${nameOfAnswer(listings, answer)}`;
  const branch = (node: Node): Branch => node as Branch;

  return {
    script,
    runs: () => runs,
    async root(stage, attempt) {
      const life = lifeOf(stage, attempt);
      if (life.root) return life.root;
      const instance = await begin({ stage, attempt }, life);
      life.root = add(instance, { stage, attempt });
      life.at = { node: life.root, instance };
      return life.root;
    },
    known: (node, step, answer) => branch(node).children.get(nameOf(step, answer)),
    async learn(node, step, answer) {
      const life = lifeOf(node.stage, node.attempt);
      const instance = await instanceAt(branch(node), life);
      checkReplay(node, instance);
      await instance.answer(step, answer);
      const child = add(instance, node, branch(node), { step, answer });
      branch(node).children.set(nameOf(step, answer), child);
      life.at = { node: child, instance };
      return child;
    },
    future(node, mayDie) {
      const again = mayDie || branch(node).toldFailed;
      let all = branch(node).below;
      for (const { root } of lives.values()) if (root && isLater(root, node, again)) all |= root.below;
      return all;
    },
    rely(node, excluded, mayDie) {
      branch(node).excluded |= excluded;
      excludedLater |= excluded;
      if (mayDie || branch(node).toldFailed) excludedAgain |= excluded;
    },
  };
}

/** One process of a script: where its code last stood. */
interface Life {
  readonly memory: Buffer<ArrayBuffer>;
  root: Branch | undefined;
  at: { readonly node: Branch; readonly instance: Instance } | undefined;
}

const MEMORY = 64 * 1024 * 1024;

function learned(place: Place, { condemned, parked }: Branch, { step, answer }: Move): ReadonlySet<string> {
  const done = parked[step];
  const own =
    done?.verb === 'create' && answer.kind === 'created' && done.key.startsWith(Folder.journal) ? [done.content] : [];
  const entries = answer.kind === 'entries' ? answer.contents : own;
  const more = entries.flatMap((content) => place.condemnedBy(content));
  return more.length === 0 ? condemned : new Set([...condemned, ...more]);
}

function marked(step: Step, condemned: ReadonlySet<string>): Step {
  if (step.verb !== 'remove') return step;
  return { ...step, condemned: condemned.has(nameOf(step.key) ?? '') };
}

function pathTo(node: Branch): Move[] {
  const path: Move[] = [];
  for (let at: Branch | undefined = node; at?.move !== undefined; at = at.parent) path.push(at.move);
  return path.reverse();
}

function isLater(root: Node, node: Node, again: boolean): boolean {
  if (root.stage > node.stage) return again || root.attempt === 0;
  return again && root.stage === node.stage && root.attempt > node.attempt;
}

/** Code that did something else when it was told the same is not what an exploration can speak of. */
function checkReplay(node: Node, instance: Instance): void {
  const found = instance.parked().map(nameOfStep).join();
  const expected = node.parked.map(nameOfStep).join();
  if (found !== expected)
    throw new Error(`The code is not deterministic: it asked for ${found}, before for ${expected}.`);
}

function nameOfStep(step: Step): string {
  if (step.verb === 'list' || step.verb === 'read') return `${step.verb} ${step.prefix} ${step.after}`;
  return step.verb === 'create' ? `create ${step.key} ${step.content.number}` : `${step.verb} ${step.key}`;
}

function nameOfAnswer(listings: Map<string, number>, answer: Answer): string {
  if (answer.kind === 'found') return String(answer.content.number);
  if (answer.kind === 'entries') return `entries ${answer.contents.map(({ number }) => number).join()}`;
  if (answer.kind !== 'listed') return answer.kind;
  return `list ${numberOf(listings, answer.objects.map(({ key, size }) => `${key} ${size}`).join())}`;
}

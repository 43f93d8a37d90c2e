import { codeOf } from '#vault/errors.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { newAccesses } from './accesses.ts';
import { type Automaton, type Node, newAutomaton } from './automaton.ts';
import { describeStep } from './describe.ts';
import type { Outcome, Place, Script, Stage } from './scheduler.ts';
import { type Answer, perform, type Step } from './stepping-store.ts';
import type { Version } from './versions.ts';

/** What is to be explored. */
export interface Question {
  readonly place: Place;
  readonly scripts: readonly Script[];
  /** How many crashes and lost answers there may be in one execution. */
  readonly faults: number;
  /** What is wrong with a version of the store, at any moment. */
  readonly invariant: (version: Version) => Promise<string | undefined>;
  /** What the journal says in a version that has nothing wrong. */
  readonly stateOf: (version: Version) => Promise<VaultState>;
  /** What is wrong with it when all scripts have ended. */
  readonly final: (version: Version) => Promise<string | undefined>;
  /** False: every order of all steps, for proving the reduction right. Default true. */
  readonly reduce?: boolean;
  /**
   * How often a script may be interrupted by another before its end, in one execution; undefined: as often as there are steps. With a bound
   * no order is left out because another one does the same: steps that commute may lie on different sides of the bound.
   */
  readonly interruptions?: number;
  /** True: what one script asks for at the same time may be done in any order, else in the order in which it was asked for. */
  readonly anyOrder?: boolean;
}

export interface Findings {
  /** The first thing that was found wrong, and the steps that lead there. */
  readonly violation: { readonly problem: string; readonly schedule: readonly string[] } | undefined;
  /** Different places (store and scripts) that were visited in the last pass. */
  readonly states: number;
  /** Executions from beginning to end that the last pass stands for: paths through its states. Each stands for all orders of steps that commute. */
  readonly executions: number;
  /** Different contents of the store, each checked. */
  readonly versions: number;
  readonly finalVersions: ReadonlySet<number>;
  /** How stages have ended, as `writer A, commit: condemned`, or `done`. */
  readonly outcomes: ReadonlySet<string>;
  /** Steps of the longest execution. */
  readonly depth: number;
  /** Passes until no new conflict of steps was seen. */
  readonly passes: number;
  /** How often a stage's code was run. */
  readonly codeRuns: number;
}

/** Where everything stands. A script that has ended, or died for good, is undefined. */
interface State {
  readonly version: Version;
  readonly nodes: readonly (Node | undefined)[];
  readonly faultsLeft: number;
  readonly interruptionsLeft: number;
  /** The script that goes on without being interrupted; undefined at the beginning, and behind a crash. */
  readonly running: number | undefined;
}

/**
 * What may come of a step: it is done; it is done, but the script is told that the store failed; it is done, and the script dies before it
 * does anything else. Scripts die right behind what changed the store: dying later, or after a read, leaves nothing else behind.
 */
interface Choice {
  readonly script: number;
  readonly what: 'step' | 'lost' | 'crash';
  /** Which of the parked steps. */
  readonly step: number;
}

interface Frame {
  readonly name: string;
  readonly state: State;
  readonly choices: readonly Choice[];
  next: number;
  executions: number;
  /** What led here. */
  readonly line: () => string;
}

interface Visited {
  readonly state: State;
  /** For people, when something was found. */
  readonly line: () => string;
  readonly problem: string | undefined;
}

/**
 * Visits every state that the scripts can reach, up to the order of steps that commute (persistent sets, Godefroid 1996). Which steps a
 * script will ever take is not declared but learned: passes are repeated until none has shown a step that an earlier choice did not
 * know of. Stops at the first violation.
 */
export async function explore(question: Question): Promise<Findings> {
  const explorer = newExplorer(question);
  await explorer.rehearse(REHEARSALS);
  for (let passes = 1; ; passes++) {
    const found = await explorer.pass();
    if (found.violation !== undefined || !explorer.betrayed()) {
      return {
        ...found,
        passes,
        outcomes: explorer.outcomes,
        versions: question.place.versions.count(),
        codeRuns: explorer.codeRuns(),
      };
    }
  }
}

/** Enough to see most steps that there are. */
const REHEARSALS = 300;

function newExplorer(question: Question) {
  const { place, scripts } = question;
  const accesses = newAccesses();
  let betrayed = false;
  let nodes = 0;
  const numbering = {
    accesses,
    betrayed: () => {
      betrayed = true;
    },
    nextNode: () => nodes++,
  };
  const automata = scripts.map((script) => newAutomaton(place, script, numbering));
  const outcomes = new Set<string>();
  const invariant = remembered(question.invariant);
  const final = remembered(question.final);

  /** Each script's choices there; only those of a persistent set. */
  const choicesIn = (state: State): Choice[] => {
    const live = state.nodes.flatMap((node, script) =>
      node === undefined ? [] : [{ script, node, automaton: at(automata, script) }],
    );
    const all = question.reduce === false || question.interruptions !== undefined;
    const chosen = all
      ? live.filter(({ script }) => mayRun(state, script))
      : persistent(live, accesses, question.anyOrder ?? false, state.faultsLeft > 0);
    return chosen.flatMap(({ script, node }) => choicesOf(state, script, node, question.anyOrder ?? false));
  };

  const take = async (state: State, { script, what, step }: Choice): Promise<Visited> => {
    const node = state.nodes[script];
    const parked = node?.parked[step];
    if (node === undefined || parked === undefined) throw new RangeError(`Script ${script} has no step ${step}.`);
    const automaton = at(automata, script);
    const { stage, attempt } = node;
    const speaker = () =>
      `${automaton.script.name}, ${automaton.script.stages[stage]?.name}${attempt > 0 ? ` (attempt ${attempt + 1})` : ''}`;
    const { version, answer } = perform(state.version, parked);
    if (what === 'crash') {
      const next = await retried(automaton, node);
      const line = () => `${speaker()}: ${describeStep(parked, answer)}, and dies`;
      return { state: moved(state, script, version, next, what), line, problem: await invariant(version) };
    }
    const told: Answer = what === 'lost' ? { kind: 'failed' } : answer;
    const after = automaton.known(node, step, told) ?? (await automaton.learn(node, step, told));
    const line = () =>
      `${speaker()}: ${describeStep(parked, answer)}${what === 'lost' ? ', but is told that the store failed' : ''}`;
    const broken = await invariant(version);
    const problem = broken ?? (await judge(automaton, after, version));
    const next = problem === undefined ? await following(automaton, after) : undefined;
    return { state: moved(state, script, version, next, what), line, problem };
  };

  const judge = async (
    automaton: Automaton,
    { outcome, stage: number }: Node,
    version: Version,
  ): Promise<string | undefined> => {
    if (outcome === undefined) return undefined;
    const stage = at(automaton.script.stages, number);
    const speaker = `${automaton.script.name}, ${stage.name}`;
    outcomes.add(`${speaker}: ${outcomeName(outcome)}`);
    const error = unexpected(stage, outcome);
    return error === undefined
      ? stage.judge?.(outcome, await question.stateOf(version))
      : `${speaker} failed: ${error}`;
  };

  const firstState = async (): Promise<State> => {
    const roots: (Node | undefined)[] = [];
    for (const automaton of automata) roots.push(await automaton.root(0, 0));
    const { faults: faultsLeft, interruptions: interruptionsLeft = Number.POSITIVE_INFINITY } = question;
    return { version: place.versions.initial, nodes: roots, faultsLeft, interruptionsLeft, running: undefined };
  };

  /** Random executions: passes begin with most steps known that scripts will take. */
  async function rehearse(executions: number): Promise<void> {
    let random = 1;
    const next = (below: number) => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    for (let i = 0; i < executions; i++) {
      for (let state: State | undefined = await firstState(); state !== undefined; ) {
        const from: State = state;
        const choices = from.nodes.flatMap((node, script) =>
          node && mayRun(from, script) ? choicesOf(from, script, node, question.anyOrder ?? false) : [],
        );
        const choice = choices[next(choices.length)];
        state = choice === undefined ? undefined : (await take(from, choice)).state;
      }
    }
  }

  async function pass() {
    betrayed = false;
    const visited = new Map<string, number>();
    const finalVersions = new Set<number>();
    const stack: Frame[] = [];
    let depth = 0;
    const push = (state: State, name: string, line: () => string) => {
      stack.push({ name, state, choices: choicesIn(state), next: 0, executions: 0, line });
      depth = Math.max(depth, stack.length - 1);
    };
    const found = (problem: string | undefined, line?: () => string) => ({
      violation:
        problem === undefined
          ? undefined
          : { problem, schedule: [...stack.slice(1).map((frame) => frame.line()), ...(line ? [line()] : [])] },
      states: visited.size,
      executions: visited.get(firstName) ?? 0,
      finalVersions,
      depth,
    });

    const first = await firstState();
    const firstName = nameOf(first);
    push(first, firstName, () => '');
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const choice = frame.choices[frame.next++];
      if (choice !== undefined) {
        const { state, line, problem } = await take(frame.state, choice);
        if (problem !== undefined) return found(problem, line);
        const name = nameOf(state);
        const known = visited.get(name);
        if (known === undefined) push(state, name, line);
        else frame.executions += known;
        continue;
      }
      if (frame.choices.length === 0) {
        finalVersions.add(frame.state.version.number);
        const problem = await final(frame.state.version);
        if (problem !== undefined) return found(problem);
        frame.executions = 1;
      }
      stack.pop();
      visited.set(frame.name, frame.executions);
      const above = stack.at(-1);
      if (above !== undefined) above.executions += frame.executions;
    }
    return found(undefined);
  }

  return {
    rehearse,
    pass,
    outcomes,
    betrayed: () => betrayed,
    codeRuns: () => automata.reduce((sum, automaton) => sum + automaton.runs(), 0),
  };
}

interface LiveScript {
  readonly script: number;
  readonly node: Node;
  readonly automaton: Automaton;
}

/**
 * A smallest set of scripts whose next steps nothing that the others will ever do conflicts with: whatever is done first, one of
 * these steps can be done before it with the same result.
 */
function persistent(
  live: readonly LiveScript[],
  accesses: { of(step: Step): bigint; conflicting(access: bigint): bigint },
  anyOrder: boolean,
  mayDie: boolean,
): readonly LiveScript[] {
  const futures = live.map(({ automaton, node }) => automaton.future(node, mayDie));
  const dangers = live.map(({ node }) =>
    enabled(node, anyOrder).reduce((set, { step }) => set | accesses.conflicting(accesses.of(step)), 0n),
  );
  let best = live.map((_, i) => i);
  for (const seed of live.keys()) {
    const members = closure(seed, futures, dangers);
    if (members.length < best.length) best = members;
    if (best.length === 1) break;
  }
  const danger = best.reduce((set, i) => set | at(dangers, i), 0n);
  for (const [i, { automaton, node }] of live.entries()) if (!best.includes(i)) automaton.rely(node, danger, mayDie);
  return best.map((i) => at(live, i));
}

function closure(seed: number, futures: readonly bigint[], dangers: readonly bigint[]): number[] {
  const members = [seed];
  for (const member of members) {
    for (const [other, future] of futures.entries()) {
      if (!members.includes(other) && (future & at(dangers, member)) !== 0n) members.push(other);
    }
  }
  return members;
}

function enabled(node: Node, anyOrder: boolean): { readonly step: Step; readonly index: number }[] {
  const all = node.parked.map((step, index) => ({ step, index }));
  return anyOrder ? all : all.slice(0, 1);
}

function choicesOf(state: State, script: number, node: Node, anyOrder: boolean): Choice[] {
  const choices: Choice[] = [];
  for (const { step, index } of enabled(node, anyOrder)) {
    choices.push({ script, what: 'step', step: index });
    if (state.faultsLeft === 0) continue;
    if (perform(state.version, step).version !== state.version) choices.push({ script, what: 'crash', step: index });
    if (canBeLost(step)) choices.push({ script, what: 'lost', step: index });
  }
  return choices;
}

/** To a script that gives up when it is told that the store failed this is a crash; the journal looks whether its entry is there. */
function canBeLost(step: Step): boolean {
  return step.verb === 'create' && step.key.startsWith('journal/');
}

/** Where the script goes on after a step: there, or where its next stage begins, or where the same begins again. */
async function following(automaton: Automaton, node: Node): Promise<Node | undefined> {
  const { outcome, stage } = node;
  if (outcome === undefined) return node;
  if ('value' in outcome) return stage + 1 < automaton.script.stages.length ? automaton.root(stage + 1, 0) : undefined;
  return codeOf(outcome.error) === 'store-failed' ? retried(automaton, node) : undefined;
}

/** What is wrong with the end of a stage: an error that is no right answer, or what its judge says. */
function unexpected({ mayFail }: Stage, outcome: Outcome): string | undefined {
  if ('value' in outcome) return undefined;
  const code = codeOf(outcome.error);
  if (code === 'store-failed' || (code !== undefined && mayFail.includes(code))) return undefined;
  return outcome.error instanceof Error ? (outcome.error.stack ?? outcome.error.message) : String(outcome.error);
}

function outcomeName(outcome: Outcome): string {
  return 'value' in outcome ? 'done' : (codeOf(outcome.error) ?? 'failed');
}

/** The same stage begun again by another process, if the script allows for that. */
async function retried(automaton: Automaton, { stage, attempt }: Node): Promise<Node | undefined> {
  return attempt < (automaton.script.retries ?? 0) ? automaton.root(stage, attempt + 1) : undefined;
}

/** Whether it may take the next step: without a bound, whoever wants to. */
function mayRun({ nodes, running, interruptionsLeft }: State, script: number): boolean {
  return interruptionsLeft > 0 || running === undefined || running === script || nodes[running] === undefined;
}

function moved(state: State, script: number, version: Version, node: Node | undefined, what: Choice['what']): State {
  const { running, nodes, faultsLeft, interruptionsLeft } = state;
  const interrupts = running !== undefined && running !== script && nodes[running] !== undefined;
  const bounded = interruptionsLeft !== Number.POSITIVE_INFINITY;
  return {
    version,
    nodes: nodes.with(script, node),
    faultsLeft: faultsLeft - (what === 'step' ? 0 : 1),
    interruptionsLeft: interruptionsLeft - (interrupts ? 1 : 0),
    running: bounded && what !== 'crash' ? script : undefined,
  };
}

/** States of the same name have the same future. */
function nameOf({ version, nodes, faultsLeft, interruptionsLeft, running }: State): string {
  const places = nodes.map((node) => node?.number ?? '-').join();
  const bound = interruptionsLeft === Number.POSITIVE_INFINITY ? '' : ` ${interruptionsLeft} ${running}`;
  return `${version.number} ${places} ${faultsLeft}${bound}`;
}

/** Asks once about each version. */
function remembered(judge: (version: Version) => Promise<string | undefined>) {
  const known = new Map<Version, string | undefined>();
  return (version: Version): string | undefined | Promise<string | undefined> => {
    if (known.has(version)) return known.get(version);
    return judge(version).then((verdict) => {
      known.set(version, verdict);
      return verdict;
    });
  };
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`There is no item ${index}.`);
  return item;
}

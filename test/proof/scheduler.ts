import { setImmediate } from 'node:timers/promises';
import type { ErrorCode } from '#vault/errors.ts';
import type { Journal } from '#vault/journal/journal.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { enter, newSurroundings } from './determinism.ts';
import { type Answer, openSteppingJournal, openSteppingStore, perform, type Step } from './stepping-store.ts';
import type { Content, Versions } from './versions.ts';

/** One call of the product's code, in a process of its own: what a function does when it is invoked. */
export interface Stage {
  readonly name: string;
  readonly role: Role;
  readonly run: (vault: Vault) => Promise<unknown>;
  /** Errors that are right answers, such as `condemned` to a commit. They end the script. Any other error is a bug. */
  readonly mayFail: readonly ErrorCode[];
  /** Opens the vault by steps, as a new process does. By default it was opened before the first step, and knows what lay in the vault then. */
  readonly cold?: boolean;
  /** Looks at the end of the stage and at what the journal then says; returns what is wrong. */
  readonly judge?: (outcome: Outcome, state: VaultState) => Promise<string | undefined>;
}

/** Whose code it is: a mutant spoils one of them. */
export type Role = 'processor' | 'committer' | 'sweeper' | 'mover' | 'reader' | 'other';

export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Stages one after another, beside those of other scripts. */
export interface Script {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** How often a stage that died is begun again by another process. Default 0. */
  readonly retries?: number;
}

/** What scripts work on. */
export interface Place {
  readonly versions: Versions;
  open(store: ObjectStore, journal: Journal): Promise<Vault>;
  readonly keyring: Vault['keyring'];
  /** Names that the journal has condemned before the first step. */
  readonly condemned: ReadonlySet<string>;
  /** Names that a journal entry condemns. */
  condemnedBy(entry: Content): readonly string[];
  /** What a role is given in place of the vault, if it is to be spoilt. */
  readonly spoil?: Partial<Record<Role, (vault: Vault) => Vault>>;
}

/** A running stage: it stands still until one of its steps is answered. */
export interface Instance {
  /** In the order in which they were asked for. */
  parked(): readonly Step[];
  outcome(): Outcome | undefined;
  /** Answers one parked step, and lets the stage run until all that it does waits again. */
  answer(index: number, answer: Answer): Promise<void>;
}

/** Starts a stage and runs it to its first step. `seed` decides its random bytes. */
export async function start(place: Place, stage: Stage, seed: string, memory: Buffer<ArrayBuffer>): Promise<Instance> {
  const surroundings = newSurroundings(seed, memory);
  const waiting: { readonly step: Step; readonly resolve: (answer: Answer) => void }[] = [];
  let outcome: Outcome | undefined;
  let warm = stage.cold !== true;

  const ask = (step: Step): Promise<Answer> => {
    if (warm) return Promise.resolve(perform(place.versions.initial, step).answer);
    return new Promise((resolve) => waiting.push({ step, resolve }));
  };
  /** Nothing of a stage runs outside of these calls. The next turn of the event loop comes when all promises have been dealt with. */
  const run = async (act: () => void): Promise<void> => {
    enter(surroundings);
    act();
    await setImmediate();
    enter(undefined);
    if (outcome === undefined && waiting.length === 0)
      throw new Error(`${stage.name} waits for something that is no step.`);
  };
  const work = async () => {
    const { contentOf } = place.versions;
    const vault = await place.open(openSteppingStore(ask, contentOf), openSteppingJournal(ask, contentOf));
    warm = false;
    return stage.run(place.spoil?.[stage.role]?.(vault) ?? vault);
  };

  await run(() => {
    work().then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
  });
  return {
    parked: () => waiting.map(({ step }) => step),
    outcome: () => outcome,
    answer: (index, answer) => run(() => waiting.splice(index, 1)[0]?.resolve(answer)),
  };
}

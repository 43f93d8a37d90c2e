import { encodeEntry } from '#vault/format/journal-entry.ts';
import type { Condemned, JournalEntry } from '#vault/journal/entries.ts';
import type { OpenRun, VaultState } from '#vault/journal/state.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import type { Place } from './scheduler.ts';

/**
 * Mistakes that the proof must find, made around the product's code and not in it: an actor is given a vault that hides something from it,
 * or that does what it wants in another order. So they stay mistakes while the code changes.
 */
export interface Mutant {
  readonly name: string;
  readonly spoil: NonNullable<Place['spoil']>;
  /** Of the scenario that finds it: the beginning of its name. */
  readonly scenario: string;
  readonly faults: number;
  /** What is found. */
  readonly problem: RegExp;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a sweep removes objects before it condemns them',
    spoil: { sweeper: removesFirst },
    scenario: 'two writers that share content',
    faults: 0,
    problem: /is missing/,
  },
  {
    name: 'a sweep decides on the state that it saw first',
    spoil: { sweeper: (vault) => deciding(vault, firstSeen()) },
    scenario: 'two writers that share content',
    faults: 0,
    problem: /has been condemned|has not expired/,
  },
  {
    name: 'a sweep condemns packs before the pages that name them',
    spoil: { sweeper: condemnsBackwards },
    scenario: 'a writer that shares content with an expired point',
    faults: 0,
    problem: /packs\/.* has been condemned/,
  },
  {
    name: 'a commit does not look at what has been condemned since',
    spoil: { committer: (vault) => deciding(vault, (head) => ({ ...head, condemned: new Set() })) },
    scenario: 'two writers that share content',
    faults: 0,
    problem: /has been condemned/,
  },
  {
    name: 'a part is deduped against a condemned pack',
    spoil: { processor: (vault) => seeing(vault, (state) => ({ ...state, condemned: new Set() })) },
    scenario: 'a writer and a sweep with its manners, after',
    faults: 0,
    problem: /commit failed.*condemned/,
  },
  {
    name: 'a receipt is written before its pack',
    spoil: { processor: receiptFirst },
    scenario: 'a part that is processed twice',
    faults: 1,
    problem: /packs\/.* is missing/,
  },
  {
    name: 'a run commits though it was abandoned',
    spoil: { committer: commitsAnyhow },
    scenario: 'somebody abandons a run',
    faults: 0,
    problem: /which has ended or never started/,
  },
  {
    name: 'a move does not look at points that came meanwhile, and a sweep takes moved packs for empty',
    spoil: {
      mover: (vault) => deciding(vault, (head, first) => ({ ...head, points: first.points })),
      sweeper: trustsMoves,
    },
    scenario: 'a mover, then a sweep, beside a writer',
    faults: 0,
    problem: /packs\/.* (has been condemned|is missing)/,
  },
  {
    name: 'a reader does not follow moves',
    spoil: { reader: (vault) => seeing(vault, (state) => ({ ...state, moved: new Map() })) },
    scenario: 'a mover and a sweep beside a reader',
    faults: 0,
    problem: /not condemned, cannot be read/,
  },
  {
    name: 'a journal gives a position away twice',
    spoil: { committer: (vault) => ({ ...vault, log: vault.log, journal: losing(vault) }) },
    scenario: 'two sweeps and a commit',
    faults: 0,
    problem: /the journal knows nothing of it/,
  },
  {
    name: 'a staged part is removed before its receipt is written',
    spoil: { processor: partGoesFirst },
    scenario: 'a writer and a sweep with its manners, after',
    faults: 1,
    problem: /process 0 failed.*staging\/.* is missing/,
  },
  {
    name: 'a commit clears its receipts away before its entry is in the journal',
    spoil: { committer: clearsFirst },
    scenario: 'a writer and a sweep with its manners, after',
    faults: 1,
    problem: /commit failed.*has not been processed yet/,
  },
  {
    name: 'a sweep does not look for what an earlier one has condemned and left',
    spoil: { sweeper: blindToCondemned },
    scenario: 'a writer and a sweep with its manners, after',
    faults: 0,
    problem: /Nobody needs .*, and no sweep removes it/,
  },
  {
    name: 'a move is told to the journal before its packs are stored',
    spoil: { mover: movesFirst },
    scenario: 'a mover and a sweep beside a reader',
    faults: 0,
    problem: /is missing/,
  },
];

type Decide = (state: VaultState) => JournalEntry;

/** A vault whose journal is another wherever it is looked at. */
function seeing(vault: Vault, see: (state: VaultState) => VaultState): Vault {
  const { journal } = vault;
  return {
    ...vault,
    journal: {
      state: () => see(journal.state()),
      refresh: async () => see(await journal.refresh()),
      append: async (decide) => see(await journal.append((head) => decide(see(head)))),
    },
  };
}

/** A vault whose journal shows another head to those who decide. `first` is the state as the actor found it. */
function deciding(vault: Vault, show: (head: VaultState, first: VaultState) => VaultState): Vault {
  const first = vault.journal.state();
  const append = (decide: Decide) => vault.journal.append((head) => decide(show(head, first)));
  return { ...vault, journal: { ...vault.journal, append } };
}

function firstSeen(): (head: VaultState) => VaultState {
  let seen: VaultState | undefined;
  return (head) => {
    seen ??= head;
    return seen;
  };
}

/** What an actor would append to the journal as it knows it; undefined where it would not. */
function intention(vault: Vault, decide: Decide): JournalEntry | undefined {
  try {
    return decide(vault.journal.state());
  } catch {
    return undefined;
  }
}

function removesFirst(vault: Vault): Vault {
  const append = async (decide: Decide) => {
    const entry = intention(vault, decide);
    if (entry?.type === 'condemned') await vault.store.remove(keysOf(entry));
    return vault.journal.append(decide);
  };
  return { ...vault, journal: { ...vault.journal, append } };
}

function keysOf({ points, manifests, pages, moves, packs }: Condemned): string[] {
  const named = { points, manifests, pages, moves, packs };
  return Object.entries(named).flatMap(([kind, names]) =>
    names.map((name) => contentKey(Folder[kind as keyof typeof named], name)),
  );
}

function condemnsBackwards(vault: Vault): Vault {
  const append = async (decide: Decide) => {
    const entry = intention(vault, decide);
    if (entry?.type !== 'condemned' || entry.packs.length === 0) return vault.journal.append(decide);
    await vault.journal.append(() => ({ ...entry, points: [], manifests: [], pages: [], moves: [] }));
    return vault.journal.append(() => ({ ...entry, packs: [] }));
  };
  return { ...vault, journal: { ...vault.journal, append } };
}

function trustsMoves(vault: Vault): Vault {
  const append = (decide: Decide) =>
    vault.journal.append((head) => {
      const entry = decide(head);
      if (entry.type !== 'condemned') return entry;
      return { ...entry, packs: [...new Set([...entry.packs, ...head.moved.keys()])] };
    });
  return { ...vault, journal: { ...vault.journal, append } };
}

function receiptFirst(vault: Vault): Vault {
  const late: (() => Promise<unknown>)[] = [];
  const { store } = vault;
  return {
    ...vault,
    store: {
      ...store,
      async create(key, body, options) {
        if (key.startsWith(Folder.packs)) {
          const copy = body.map((piece) => Buffer.from(piece));
          late.push(() => store.create(key, copy, options));
          return 'created';
        }
        const answer = await store.create(key, body, options);
        if (key.startsWith(Folder.receipts)) for (const act of late.splice(0)) await act();
        return answer;
      },
    },
  };
}

function partGoesFirst(vault: Vault): Vault {
  const late: (() => Promise<unknown>)[] = [];
  const { store } = vault;
  return {
    ...vault,
    store: {
      ...store,
      async create(key, body, options) {
        if (!key.startsWith(Folder.receipts)) return store.create(key, body, options);
        late.push(() => store.create(key, body, options));
        return 'created';
      },
      async remove(keys) {
        const kept = await store.remove(keys);
        for (const act of late.splice(0)) await act();
        return kept;
      },
    },
  };
}

function clearsFirst(vault: Vault): Vault {
  const append = async (decide: Decide) => {
    const entry = intention(vault, decide);
    if (entry?.type === 'point-committed') {
      for await (const { key } of vault.store.list(`${Folder.receipts}${entry.run}/`)) await vault.store.remove([key]);
    }
    return vault.journal.append(decide);
  };
  return { ...vault, journal: { ...vault.journal, append } };
}

function blindToCondemned(vault: Vault): Vault {
  const { store, journal } = vault;
  const before = journal.state().condemned;
  return {
    ...vault,
    store: {
      ...store,
      async *list(prefix, options) {
        for await (const object of store.list(prefix, options)) {
          if (!before.has(nameOf(object.key) ?? '') && !journal.state().condemned.has(nameOf(object.key) ?? ''))
            yield object;
        }
      },
    },
  };
}

function movesFirst(vault: Vault): Vault {
  const late: (() => Promise<unknown>)[] = [];
  const { store, journal } = vault;
  const append = async (decide: Decide) => {
    const state = await journal.append(decide);
    for (const act of late.splice(0)) await act();
    return state;
  };
  return {
    ...vault,
    journal: { ...journal, append },
    store: {
      ...store,
      async create(key, body, options) {
        if (!key.startsWith(Folder.packs)) return store.create(key, body, options);
        const copy = body.map((piece) => Buffer.from(piece));
        late.push(() => store.create(key, copy, options));
        return 'created';
      },
    },
  };
}

/** Appends behind the journal's back: what may follow is not asked. */
function commitsAnyhow(vault: Vault): Vault {
  const opened = new Map<string, OpenRun>(vault.journal.state().openRuns);
  const append = async (decide: Decide) => {
    for (;;) {
      const head = await vault.journal.refresh();
      const entry = decide({ ...head, openRuns: opened });
      const bytes = encodeEntry(vault.keyring.newest, head.position + 1, head.digest, entry);
      if ((await vault.log.append(head.position + 1, bytes)) === 'created') return head;
    }
  };
  const refresh = async () => ({ ...(await vault.journal.refresh()), openRuns: opened });
  return { ...vault, journal: { ...vault.journal, refresh, append } };
}

/** Takes `exists` for `created`, as a store does whose create-if-absent is not atomic. */
function losing(vault: Vault): Vault['journal'] {
  const append = async (decide: Decide) => {
    const head = await vault.journal.refresh();
    const bytes = encodeEntry(vault.keyring.newest, head.position + 1, head.digest, decide(head));
    await vault.log.append(head.position + 1, bytes);
    return head;
  };
  return { ...vault.journal, append };
}

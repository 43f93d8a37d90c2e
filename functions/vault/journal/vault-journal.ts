import { setTimeout as pause } from 'node:timers/promises';
import { EkkoError } from '../errors.ts';
import { decodeEntry, encodeEntry, epochOfEntry } from '../format/journal-entry.ts';
import type { EpochKeys, Keyring } from '../keys/epoch-keys.ts';
import { contentName, journalKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { checkEntry } from './check-entry.ts';
import type { JournalEntry } from './entries.ts';
import { applyEntry, type Fold, type PlacedEntry, startFold } from './fold.ts';
import type { Journal, NumberedBytes } from './journal.ts';
import { objectionTo } from './objections.ts';
import { EMPTY_STATE, newestEpoch, type VaultState } from './state.ts';
import { readSnapshots, SNAPSHOT_INTERVAL, writeSnapshot } from './state-snapshot.ts';

/** The vault's journal, read, checked and folded. One process may call it from many places at once; calls wait for each other. */
export interface VaultJournal {
  /** As last folded. Immutable. */
  state(): VaultState;
  /** Reads what has come since. Throws `journal-broken`, `bad-format` (a newer Ekko's entry), `wrong-key`, `store-failed`. */
  refresh(): Promise<VaultState>;
  /**
   * Appends what `decide` makes of the newest state, and resolves to the state with it (and perhaps later ones) in it.
   * `decide` is asked again each time that another writer was first; it refuses by throwing, which `append` passes on.
   * Throws also: `run-ended`, `condemned`, `bad-input`, `bad-format` (an entry that cannot follow; nothing was written), `busy`
   * (other writers were first 1000 times), what `refresh` throws, and `store-failed`: the entry may then still come to be there.
   */
  append(decide: (state: VaultState) => JournalEntry): Promise<VaultState>;
}

export interface JournalParts {
  readonly journal: Journal;
  /** Where state snapshots lie. */
  readonly store: ObjectStore;
  readonly keyring: Keyring;
}

const MOST_TRIES = 1000;
const LONGEST_PAUSE_MS = 100;

/** Opens the journal and folds it to its head. Throws what `refresh` throws; an empty journal gives `EMPTY_STATE`. */
export async function openVaultJournal(parts: JournalParts): Promise<VaultJournal> {
  let current = await openState(parts);
  const inTurn = createTurns();

  const catchUp = async (): Promise<readonly string[]> => {
    const { state, digests } = await foldFrom(parts, current, parts.journal.read(current.position + 1));
    current = state;
    return digests;
  };

  /** Whether the entry is there: false when another took its place. */
  const tryOnce = async (entry: JournalEntry): Promise<boolean> => {
    const { placed, bytes } = place(parts, current, entry);
    const answer = await answerOf(parts.journal.append(placed.position, bytes));
    if (answer === 'created') {
      if (entry.type === 'epoch-started') await parts.keyring.begin(entry);
      current = applyEntry(current, placed);
      return true;
    }
    // Also after `exists`: a store client that lost the first answer and tried again meets its own entry. No two entries have the
    // same bytes, so the digest tells.
    if ((await catchUp()).includes(placed.digest)) return true;
    if (answer === 'exists' || current.position >= placed.position) return false;
    throw answer.error;
  };

  const append = async (decide: (state: VaultState) => JournalEntry): Promise<VaultState> => {
    await catchUp();
    let entry = checked(current, decide(current));
    for (let tries = 1; !(await tryOnce(entry)); tries++) {
      if (tries >= MOST_TRIES) throw tooBusy(parts.journal, current);
      await pause(Math.random() * Math.min(2 ** tries, LONGEST_PAUSE_MS));
      await catchUp();
      entry = checked(current, decide(current));
    }
    if (current.position % SNAPSHOT_INTERVAL === 0 || entry.type === 'epoch-started') {
      await writeSnapshot(parts.store, keysFor(parts.keyring, current), current);
    }
    return current;
  };

  return {
    state: () => current,
    refresh: () => inTurn(async () => catchUp().then(() => current)),
    append: (decide) => inTurn(() => append(decide)),
  };
}

/**
 * The head, from the newest snapshot that the journal bears out, else from the beginning. A snapshot is written behind its entry: where
 * the journal ends before one, entries have been lost, and an append would make a second history, in which what they committed is dead.
 */
async function openState(parts: JournalParts): Promise<VaultState> {
  const keys = parts.keyring.newest;
  let lastSeen = 0;
  for await (const snapshot of readSnapshots(parts.store, keys)) {
    const entries = parts.journal.read(snapshot.position)[Symbol.asyncIterator]();
    const first = await entries.next();
    if (first.done) lastSeen = Math.max(lastSeen, snapshot.position);
    if (!first.done && contentName([first.value.bytes]) === snapshot.digest) {
      const rest = { [Symbol.asyncIterator]: () => entries };
      const state = whole(parts, (await foldFrom(parts, snapshot, rest)).state, lastSeen);
      // A newer key has come to light, and with it snapshots that count for more.
      return newestEpoch(state) > keys.epoch ? openState(parts) : state;
    }
    await entries.return?.();
  }
  return whole(parts, (await foldFrom(parts, EMPTY_STATE, parts.journal.read(1))).state, lastSeen);
}

function whole({ journal }: JournalParts, state: VaultState, lastSeen: number): VaultState {
  if (state.position >= lastSeen) return state;
  throw new EkkoError(
    'journal-broken',
    `The journal in ${journal.url} ends at position ${state.position}, but the vault has seen entry ${lastSeen}: the last ones have been ` +
      'lost. Put them back from a copy of the vault; nothing is written until they are there.',
  );
}

async function foldFrom(
  { journal, keyring }: JournalParts,
  from: VaultState,
  entries: AsyncIterable<NumberedBytes>,
): Promise<{ state: VaultState; digests: readonly string[] }> {
  let fold: Fold | undefined;
  const digests: string[] = [];
  for await (const { position, bytes } of entries) {
    fold ??= startFold(from);
    const digest = contentName([bytes]);
    const origin = `${journalKey(position)} in ${journal.url}`;
    checkEpoch(bytes, newestEpoch(fold.state), origin);
    const entry = decodeEntry(keyring, fold.state.position + 1, fold.state.digest, bytes, origin);
    fold.add({ position, digest, entry });
    if (entry.type === 'epoch-started') await keyring.begin(entry);
    digests.push(digest);
  }
  return { state: fold?.state ?? from, digests };
}

/** Who has an older key only, or one that the journal does not know, has nothing to say. */
function checkEpoch(bytes: Uint8Array, expected: number, origin: string): void {
  const found = epochOfEntry(bytes, origin);
  if (found === expected) return;
  throw new EkkoError(
    'journal-broken',
    `${origin} is sealed under key epoch ${found}, but epoch ${expected} is in force there. No Ekko writes that: put the original ` +
      'entry back from a copy of the vault, and find out who else writes there.',
  );
}

function keysFor(keyring: Keyring, state: VaultState): EpochKeys {
  return keyring.epoch(newestEpoch(state), 'The journal');
}

/** The entry with its own fields only, if it may follow. What would break the journal for every reader is never written. */
function checked(state: VaultState, wanted: JournalEntry): JournalEntry {
  const entry = checkEntry(wanted, 'The entry to append');
  const objection = objectionTo(state, entry);
  if (objection === undefined) return entry;
  throw new EkkoError(objection.code, `The entry to append to the journal ${objection.found}. Nothing was written.`);
}

function place(
  { keyring }: JournalParts,
  state: VaultState,
  entry: JournalEntry,
): { placed: PlacedEntry; bytes: Buffer } {
  const position = state.position + 1;
  const bytes = encodeEntry(keysFor(keyring, state), position, state.digest, entry);
  return { placed: { position, digest: contentName([bytes]), entry }, bytes };
}

async function answerOf(appending: Promise<'created' | 'exists'>): Promise<'created' | 'exists' | { error: unknown }> {
  return appending.catch((error: unknown) => ({ error }));
}

function tooBusy(journal: Journal, state: VaultState): EkkoError {
  return new EkkoError(
    'busy',
    `The journal in ${journal.url}, now at entry ${state.position}, was taken by other writers ${MOST_TRIES} times. Try again later.`,
  );
}

/** Runs one piece of work after another: each folds onto what the one before has left. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

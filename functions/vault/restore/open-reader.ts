import { codeOf, EkkoError } from '../errors.ts';
import { type EpochKeys, type Keyring, keyringOf } from '../keys/epoch-keys.ts';
import { packMovedTable, readMovedTable } from '../moves/moved-table.ts';
import { knownMoves, openStoredMoves } from '../moves/pack-moves.ts';
import type { VaultReader } from '../records.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { openStore } from '../store/open-store.ts';
import type { VaultLock } from '../words.ts';

/**
 * How a worker thread opens the vault. Holds keys: hand it over in memory (`workerData`) only, never by arguments,
 * environment or file.
 */
export interface ReaderSettings {
  /** As `openStore` takes it. */
  readonly url: string;
  /** Where credentials are, as `openStore` takes it; undefined: in the process's own. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Oldest first; empty where only digests are checked. */
  readonly epochs: readonly ReaderKeys[];
  /** Packs that were moved, as `packMovedTable` makes it. What is moved later the thread finds out by itself. */
  readonly moved?: SharedArrayBuffer;
  /** How the vault is locked: it is read past what lies over its objects. */
  readonly lock?: VaultLock | undefined;
}

/** An epoch's keys less what cannot cross threads: no run tokens. */
export type ReaderKeys = Omit<EpochKeys, 'runToken'>;

/** The settings that open the same store with the same keys in another thread. */
export function readerSettings({
  store,
  keyring,
  journal,
}: Pick<VaultReader, 'store'> & Partial<VaultReader>): ReaderSettings {
  const epochs = keyring === undefined ? [] : epochsOf(keyring);
  const moved = packMovedTable(knownMoves({ journal }));
  const lock = store.locking?.rule();
  return { url: store.url, epochs: epochs.map(({ runToken: _, ...keys }) => keys), moved, lock };
}

/** Throws `bad-input` (URL, no keys). Nothing is read yet. */
export async function openReader({ url, environment, epochs, moved, lock }: ReaderSettings): Promise<VaultReader> {
  const reader = {
    store: await openLockedStore(url, lock, environment),
    keyring: keyringOf(epochs.map((keys) => ({ ...keys, runToken }))),
  };
  return { ...reader, journal: openStoredMoves(reader, moved && readMovedTable(moved)) };
}

/** The store of a vault that is locked so, if it is. Throws `bad-input` (URL). */
export async function openLockedStore(
  url: string,
  lock: VaultLock | undefined,
  environment?: Readonly<Record<string, string>>,
): Promise<ObjectStore> {
  const store = await openStore(url, environment);
  if (lock !== undefined) store.locking?.begin(lock);
  return store;
}

/** Every epoch that the keyring opens: they are numbered from 1. */
function epochsOf(keyring: Keyring): EpochKeys[] {
  const held: EpochKeys[] = [];
  for (let epoch = 1; epoch < keyring.newest.epoch; epoch++) {
    try {
      held.push(keyring.epoch(epoch, 'An older object'));
    } catch (error) {
      if (codeOf(error) !== 'wrong-key') throw error;
    }
  }
  return [...held, keyring.newest];
}

function runToken(): never {
  throw new EkkoError('wrong-key', 'A thread that reads the vault cannot hand out run tokens.');
}

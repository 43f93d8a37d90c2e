import { epochOfRecord } from '../format/record.ts';
import { type EpochKeys, keyringOf } from '../keys/epoch-keys.ts';
import { Folder, stateKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { newestEpoch, type VaultState } from './state.ts';
import { decodeState, encodeState } from './state-record.ts';

/**
 * State snapshots: the fold as it was at a position, so that opening a vault need not read its whole journal.
 * Only ever a short cut: each is checked against the journal before it is used, and a vault without any is merely slow to open.
 * Nobody but holders of the newest key is believed: who had an older one could tell what never was.
 */

/** A snapshot is written when the journal's length is a multiple of this, and when a key epoch begins. */
export const SNAPSHOT_INTERVAL = 64;

/**
 * Writes the snapshot of this state. Resolves to whether it is there now: a failed write, or a state too large for a record, costs
 * the next reader time and nothing else, so it is no error.
 */
export async function writeSnapshot(store: ObjectStore, keys: EpochKeys, state: VaultState): Promise<boolean> {
  try {
    await store.create(stateKey(state.position), [encodeState(keys, state)]);
    return true;
  } catch {
    return false;
  }
}

/** The snapshots under these keys, newest first. Those that do not open are passed over, whatever the reason. */
export async function* readSnapshots(store: ObjectStore, keys: EpochKeys): AsyncGenerator<VaultState> {
  for (const position of await listedPositions(store)) {
    const bytes = await storedSnapshot(store, position);
    if (bytes === undefined) continue;
    const epoch = epochOfRecord(bytes);
    // Those before it are older still.
    if (epoch > 0 && epoch < keys.epoch) return;
    const state = openSnapshot(keys, position, bytes);
    if (state) yield state;
  }
}

async function storedSnapshot(store: ObjectStore, position: number): Promise<Buffer | undefined> {
  return store.get(stateKey(position)).catch(() => undefined);
}

function openSnapshot(keys: EpochKeys, position: number, bytes: Buffer): VaultState | undefined {
  try {
    const state = decodeState(keyringOf([keys]), position, bytes, stateKey(position));
    return newestEpoch(state) === keys.epoch ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Positions of listed snapshots, highest first; none when the folder cannot be listed. */
async function listedPositions(store: ObjectStore): Promise<number[]> {
  const found = new Set<number>();
  try {
    for await (const { key } of store.list(Folder.states)) {
      const digits = /^states\/(\d{20})$/.exec(key)?.[1];
      if (digits !== undefined) found.add(Number(digits));
    }
  } catch {
    // What has been listed so far is as good as any.
  }
  return [...found].filter((position) => position >= 1 && Number.isSafeInteger(position)).sort((a, b) => b - a);
}

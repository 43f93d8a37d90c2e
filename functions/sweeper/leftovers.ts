import type { VaultState } from '#vault/journal/state.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore, StoredObject } from '#vault/store/object-store.ts';

/** What ended runs and older states left. Keys, not names. */
export interface Leftovers {
  readonly staging: readonly StoredObject[];
  readonly receipts: readonly StoredObject[];
  readonly states: readonly StoredObject[];
}

/** A reader who cannot use the newest snapshot goes on to the one before. */
const KEPT_STATES = 4;

/** What lies there of runs that are not open, and all but the newest state snapshots. Throws `store-failed`. */
export async function findLeftovers(store: ObjectStore, state: VaultState): Promise<Leftovers> {
  const states = await Array.fromAsync(store.list(Folder.states));
  return {
    staging: await ofOtherRuns(store, Folder.staging, state),
    receipts: await ofOtherRuns(store, Folder.receipts, state),
    states: states.slice(0, -KEPT_STATES),
  };
}

async function ofOtherRuns(store: ObjectStore, folder: string, state: VaultState): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list(folder)) if (!state.openRuns.has(runOf(object.key))) found.push(object);
  return found;
}

/**
 * Of left-overs that were listed before `state` was read, those whose run has ended: a run is in the journal before anything of it is
 * in the store, so one that the journal does not know by now has ended, or never was.
 */
export function ofEndedRuns({ staging, receipts, states }: Leftovers, { openRuns }: VaultState): Leftovers {
  const ended = ({ key }: StoredObject) => !openRuns.has(runOf(key));
  return { staging: staging.filter(ended), receipts: receipts.filter(ended), states };
}

function runOf(key: string): string {
  return key.split('/')[1] ?? '';
}

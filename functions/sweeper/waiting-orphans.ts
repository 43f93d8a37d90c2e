import type { VaultState } from '#vault/journal/state.ts';
import { type ByKind, emptyByKind, type FoundObject, KINDS } from './inventory.ts';
import type { LiveKind } from './liveness.ts';
import type { WaitingObjects } from './sweep-notes.ts';

/**
 * Orphans are condemned when no open run can need them: a run that was open when an orphan was first seen may be its maker, or may
 * have deduped against it. All this is courtesy to runs, which would have to begin again; it decides nothing about what is safe.
 */
export interface SortedOrphans {
  /** No run needs them. */
  readonly free: ByKind;
  /** Packs that no run of the past needs, but that a later one could find by their samples. */
  readonly linked: readonly FoundObject[];
  /** Those that wait, to be noted. */
  readonly waiting: readonly WaitingObjects[];
  /** What waits, for the report. */
  readonly waitingObjects: readonly FoundObject[];
}

/** Sorts what was found by what is noted of it. What nobody has noted is first seen now, with the runs that are open in `state`. */
export function sortOrphans(orphans: ByKind, noted: readonly WaitingObjects[], state: VaultState): SortedOrphans {
  const known = groupsByName(noted);
  const first = [...state.openRuns.keys()];
  const free = emptyByKind();
  const linked: FoundObject[] = [];
  const waits = newWaitingList();
  for (const kind of KINDS) {
    for (const object of orphans[kind]) {
      const group = known.get(object.name);
      const runs = (group?.runs ?? first).filter((run) => state.openRuns.has(run));
      const stage = group?.stage ?? 'seen';
      if (runs.length > 0) waits.add(kind, stage, runs, object);
      else if (kind === 'packs' && stage === 'seen' && !state.moved.has(object.name)) linked.push(object);
      else free[kind].push(object);
    }
  }
  return { free, linked, ...waits.lists() };
}

/** Sorts again packs whose samples have been removed before `state` was read: they wait for the runs that are open in it, if any. */
export function sortUnlinked({ free, linked, ...waiting }: SortedOrphans, state: VaultState): SortedOrphans {
  const runs = [...state.openRuns.keys()];
  if (runs.length === 0) return { ...waiting, free: { ...free, packs: [...free.packs, ...linked] }, linked: [] };
  const names = linked.map(({ name }) => name);
  return {
    free,
    linked: [],
    waiting:
      names.length === 0 ? waiting.waiting : [...waiting.waiting, { kind: 'packs', stage: 'unlinked', runs, names }],
    waitingObjects: [...waiting.waitingObjects, ...linked],
  };
}

function groupsByName(noted: readonly WaitingObjects[]): Map<string, WaitingObjects> {
  const groups = new Map<string, WaitingObjects>();
  for (const group of noted) for (const name of group.names) groups.set(name, group);
  return groups;
}

function newWaitingList() {
  const groups = new Map<string, WaitingObjects & { readonly names: string[] }>();
  const objects: FoundObject[] = [];
  return {
    add(kind: LiveKind, stage: WaitingObjects['stage'], runs: readonly string[], object: FoundObject): void {
      const id = `${kind} ${stage} ${runs.join()}`;
      const group = groups.get(id) ?? { kind, stage, runs, names: [] };
      groups.set(id, group);
      group.names.push(object.name);
      objects.push(object);
    },
    lists: () => ({ waiting: [...groups.values()], waitingObjects: objects }),
  };
}

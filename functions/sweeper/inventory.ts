import type { VaultState } from '#vault/journal/state.ts';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { LiveKind, Liveness } from './liveness.ts';

/** An object that lies in the store. Bytes. */
export interface FoundObject {
  readonly name: string;
  readonly size: number;
}

/** Content-named objects that no point needs, by kind. */
export interface DeadObjects {
  /** The journal has condemned them. */
  readonly condemned: ByKind;
  /** Nothing tells what they are: given up by points, left by crashed and abandoned runs, or of runs that are not done. */
  readonly orphans: ByKind;
  /** Packs that were looked at, live ones included. */
  readonly packs: number;
}

export type ByKind = Readonly<Record<LiveKind, FoundObject[]>>;

/** In the order in which they are condemned: nothing before what names it. */
export const KINDS: readonly LiveKind[] = ['points', 'manifests', 'pages', 'moves', 'packs'];

/** Lists the store and keeps what is not live. Throws `store-failed`. */
export async function findDead(store: ObjectStore, state: VaultState, liveness: Liveness): Promise<DeadObjects> {
  const found = { condemned: emptyByKind(), orphans: emptyByKind() };
  let packs = 0;
  for (const kind of KINDS) {
    for await (const { key, size } of store.list(Folder[kind])) {
      const name = nameOf(key);
      if (name === undefined) continue;
      if (kind === 'packs') packs++;
      if (state.condemned.has(name)) found.condemned[kind].push({ name, size });
      else if (liveness.isDead(kind, name)) found.orphans[kind].push({ name, size });
    }
  }
  return { ...found, packs };
}

export function emptyByKind(): ByKind {
  return { points: [], manifests: [], pages: [], moves: [], packs: [] };
}

import { EkkoError } from '../errors.ts';
import { NO_DIGEST } from '../format/journal-entry.ts';
import type { Condemned, JournalEntry, PointCommitted, RunStarted } from './entries.ts';
import { objectionTo } from './objections.ts';

/**
 * What the journal says up to `position`: the fold over its entries. Never changed in place; whoever holds one may keep it.
 *
 * A run that is not in `openRuns` has ended, or never was: it can never commit. Nothing else is kept of ended runs.
 */
export interface VaultState {
  /** Position of the last entry; 0 in an empty journal. */
  readonly position: number;
  /** SHA-256 (hex) of the last entry's bytes; `NO_DIGEST` in an empty journal. */
  readonly digest: string;
  /** SHA-256 (hex) of `vault.json`; undefined in an empty journal. */
  readonly vaultJson: string | undefined;
  readonly escrow: EscrowState;
  /** By run, in the order in which they started. */
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  /** By run, in commit order; condemned points are gone. */
  readonly points: ReadonlyMap<string, CommittedPoint>;
  /** Names of packs, pages, manifests and points that nothing may make live again. */
  readonly condemned: ReadonlySet<string>;
}

export type EscrowState = 'missing' | 'waived' | 'confirmed';
export type OpenRun = Omit<RunStarted, 'type'>;
export type CommittedPoint = Omit<PointCommitted, 'type'>;

export const EMPTY_STATE: VaultState = {
  position: 0,
  digest: NO_DIGEST,
  vaultJson: undefined,
  escrow: 'missing',
  openRuns: new Map(),
  points: new Map(),
  condemned: new Set(),
};

/** An entry, where it stands, and the SHA-256 (hex) of its stored bytes. */
export interface PlacedEntry {
  readonly position: number;
  readonly digest: string;
  readonly entry: JournalEntry;
}

/** Folds entries one by one onto a copy of a state. */
export interface Fold {
  /** The state so far; it goes on changing until the last `add`. */
  readonly state: VaultState;
  /** Throws `journal-broken` when the entry cannot stand here; `state` is then as it was before. */
  add(placed: PlacedEntry): void;
}

/** A fold that begins at `from`, which stays as it is. Copies once, so a long journal is folded in linear time. */
export function startFold(from: VaultState): Fold {
  const draft: Draft = {
    ...from,
    openRuns: new Map(from.openRuns),
    points: new Map(from.points),
    condemned: new Set(from.condemned),
  };
  return { state: draft, add: (placed) => addTo(draft, placed) };
}

/** The state after one more entry. Throws `journal-broken` when it cannot stand there. */
export function applyEntry(state: VaultState, placed: PlacedEntry): VaultState {
  const fold = startFold(state);
  fold.add(placed);
  return fold.state;
}

interface Draft extends VaultState {
  position: number;
  digest: string;
  vaultJson: string | undefined;
  escrow: EscrowState;
  readonly openRuns: Map<string, OpenRun>;
  readonly points: Map<string, CommittedPoint>;
  readonly condemned: Set<string>;
}

function addTo(draft: Draft, { position, digest, entry }: PlacedEntry): void {
  if (position !== draft.position + 1) throw broken(position, `follows entry ${draft.position}`);
  const objection = objectionTo(draft, entry);
  if (objection) throw broken(position, objection.found);
  change(draft, entry);
  draft.position = position;
  draft.digest = digest;
}

function change(draft: Draft, entry: JournalEntry): void {
  switch (entry.type) {
    case 'vault-created':
      draft.vaultJson = entry.vaultJson;
      return;
    case 'escrow-waived':
      if (draft.escrow === 'missing') draft.escrow = 'waived';
      return;
    case 'escrow-confirmed':
      draft.escrow = 'confirmed';
      return;
    case 'run-started':
      draft.openRuns.set(entry.run, withoutType(entry));
      return;
    case 'run-abandoned':
      draft.openRuns.delete(entry.run);
      return;
    case 'point-committed':
      draft.openRuns.delete(entry.run);
      draft.points.set(entry.run, withoutType(entry));
      return;
    case 'condemned':
      condemn(draft, entry);
  }
}

function condemn(draft: Draft, entry: Condemned): void {
  for (const list of [entry.packs, entry.pages, entry.manifests, entry.points]) {
    for (const name of list) draft.condemned.add(name);
  }
  if (entry.points.length === 0) return;
  const gone = new Set(entry.points);
  for (const [run, { point }] of draft.points) if (gone.has(point)) draft.points.delete(run);
}

function withoutType<T extends { readonly type: string }>({ type: _, ...rest }: T): Omit<T, 'type'> {
  return rest;
}

function broken(position: number, found: string): EkkoError {
  return new EkkoError(
    'journal-broken',
    `Entry ${position} of the journal ${found}. No Ekko writes that: find out what did, and go back to a copy of the vault.`,
  );
}

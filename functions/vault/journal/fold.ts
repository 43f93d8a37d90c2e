import { EkkoError } from '../errors.ts';
import type { Draft } from './draft.ts';
import type { JournalEntry, RunTakenOver } from './entries.ts';
import { addRecipient, forgetCondemned, startEpoch } from './fold-keys.ts';
import { extendLocks, verify } from './fold-objects.ts';
import { condemn, expire, setRetention, undelete } from './fold-points.ts';
import { objectionTo } from './objections.ts';
import { newestEpoch, type VaultState } from './state.ts';

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
    recipients: new Map(from.recipients),
    removed: new Map(from.removed),
    openRuns: new Map(from.openRuns),
    points: new Map(from.points),
    expired: new Map(from.expired),
    holds: new Map(from.holds),
    retention: new Map(from.retention),
    moved: new Map(from.moved),
    condemned: new Set(from.condemned),
    verified: new Map(from.verified),
    damaged: new Set(from.damaged),
    lockedUntil: new Map(from.lockedUntil),
  };
  return { state: draft, add: (placed) => addTo(draft, placed) };
}

/** The state after one more entry. Throws `journal-broken` when it cannot stand there. */
export function applyEntry(state: VaultState, placed: PlacedEntry): VaultState {
  const fold = startFold(state);
  fold.add(placed);
  return fold.state;
}

function addTo(draft: Draft, { position, digest, entry }: PlacedEntry): void {
  if (position !== draft.position + 1) throw broken(position, `follows entry ${draft.position}`);
  const objection = objectionTo(draft, entry);
  if (objection) throw broken(position, objection.found);
  change(draft, entry, position);
  draft.position = position;
  draft.digest = digest;
}

function change(draft: Draft, entry: JournalEntry, position: number): void {
  switch (entry.type) {
    case 'vault-created':
      draft.vaultJson = entry.vaultJson;
      draft.epochs = [{ epoch: 1, position, at: entry.at }];
      for (const named of entry.recipients) addRecipient(draft, named, entry.at);
      return;
    case 'escrow-waived':
      if (draft.escrow === 'missing') draft.escrow = 'waived';
      return;
    case 'escrow-confirmed':
      draft.escrow = 'confirmed';
      return;
    case 'epoch-started':
      startEpoch(draft, entry, position);
      return;
    case 'recipient-added': {
      const { at, key, ...named } = withoutType(entry);
      addRecipient(draft, named, at, key);
      return;
    }
    case 'run-started':
      draft.openRuns.set(entry.run, { ...withoutType(entry), epoch: newestEpoch(draft) });
      return;
    case 'run-taken-over':
      takeOver(draft, entry);
      return;
    case 'run-abandoned':
      endRun(draft, entry.run);
      return;
    case 'point-committed':
      endRun(draft, entry.run);
      draft.points.set(entry.run, { ...withoutType(entry), position });
      return;
    case 'points-expired':
      for (const run of entry.points) expire(draft, run, entry);
      return;
    case 'points-undeleted':
      undelete(draft, entry.points);
      return;
    case 'hold-placed':
      draft.holds.set(entry.hold, withoutType(entry));
      return;
    case 'hold-released':
      draft.holds.delete(entry.hold);
      return;
    case 'retention-set':
      setRetention(draft, entry);
      return;
    case 'packs-moved':
      for (const pack of entry.packs) draft.moved.set(pack, entry.move);
      return;
    case 'condemned':
      condemn(draft, entry);
      return;
    case 'vault-verified':
      verify(draft, entry, position);
      return;
    case 'objects-repaired':
      for (const name of entry.objects) draft.damaged.delete(name);
      return;
    case 'locks-extended':
      extendLocks(draft, entry);
  }
}

function takeOver({ openRuns }: Draft, { run, host, process }: RunTakenOver): void {
  const open = openRuns.get(run);
  if (open !== undefined) openRuns.set(run, { ...open, host, process });
}

function endRun(draft: Draft, run: string): void {
  draft.openRuns.delete(run);
  forgetCondemned(draft);
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

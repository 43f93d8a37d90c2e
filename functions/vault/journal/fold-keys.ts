import type { EpochStarted, NamedRecipient } from './key-entries.ts';
import type { BegunEpoch, CondemnedNames, EscrowState, OpenRun, RemovedRecipient, VaultRecipient } from './state.ts';

/** What of a state the keys' entries change, and what key epochs decide; epochs are numbered from 1 without gap. */
export interface KeyDraft {
  escrow: EscrowState;
  epochs: readonly BegunEpoch[];
  readonly recipients: Map<string, VaultRecipient>;
  readonly removed: Map<string, RemovedRecipient>;
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  readonly condemned: Set<string>;
  condemnedUnder: readonly CondemnedNames[];
}

/** `key` is the name of the recipient's key object; undefined: it stands in `vault.json`. */
export function addRecipient(draft: KeyDraft, named: NamedRecipient, since: string, key?: string): void {
  const found = { ...named, since, sinceEpoch: draft.epochs.length, ...(key === undefined ? {} : { key }) };
  draft.recipients.set(named.recipient, found);
  draft.removed.delete(named.recipient);
}

/** Those who are not named any more are removed; a key that is left alone needs another, as in the beginning. */
export function startEpoch(draft: KeyDraft, { epoch, key, recipients, at }: EpochStarted, position: number): void {
  const kept = new Set(recipients);
  for (const each of draft.recipients.values()) {
    if (kept.has(each.recipient)) draft.recipients.set(each.recipient, { ...each, key });
    else {
      draft.recipients.delete(each.recipient);
      draft.removed.set(each.recipient, { ...each, removedAt: at, lastEpoch: epoch - 1 });
    }
  }
  if (draft.escrow === 'confirmed' && draft.recipients.size < 2) draft.escrow = 'missing';
  draft.epochs = [...draft.epochs, { epoch, position, at, key }];
  forgetCondemned(draft);
}

/**
 * Forgets names that were condemned under an older epoch, once no run is open that started under it or before: only such a run can
 * have come to know them while they were live (`docs/decisions/0015-key-epochs.md`).
 */
export function forgetCondemned(draft: KeyDraft): void {
  const oldest = Math.min(draft.epochs.length, ...[...draft.openRuns.values()].map(({ epoch }) => epoch));
  const past = draft.condemnedUnder.filter(({ epoch }) => epoch < oldest);
  if (past.length === 0) return;
  let left = past.reduce((sum, { names }) => sum + names, 0);
  for (const name of draft.condemned) {
    if (left-- === 0) break;
    draft.condemned.delete(name);
  }
  draft.condemnedUnder = draft.condemnedUnder.slice(past.length);
}

/** Of a `condemned` entry: how many names it added. */
export function countCondemned(draft: KeyDraft, names: number): void {
  if (names === 0) return;
  const epoch = draft.epochs.length;
  const last = draft.condemnedUnder.at(-1);
  const others = last?.epoch === epoch ? draft.condemnedUnder.slice(0, -1) : draft.condemnedUnder;
  draft.condemnedUnder = [...others, { epoch, names: names + (last?.epoch === epoch ? last.names : 0) }];
}

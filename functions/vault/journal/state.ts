import { EkkoError } from '../errors.ts';
import { NO_DIGEST } from '../format/journal-entry.ts';
import type {
  Condemned,
  HoldPlaced,
  JournalEntry,
  LocksExtended,
  NamedRecipient,
  PointCommitted,
  RetentionPolicy,
  RetentionSet,
  RunStarted,
  RunTakenOver,
  VaultVerified,
} from './entries.ts';
import { addRecipient, countCondemned, forgetCondemned, startEpoch } from './fold-keys.ts';
import { objectionTo } from './objections.ts';
import { isInForce } from './policy-wait.ts';

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
  /** The vault's key epochs, the one in force last: what stands behind its beginning is sealed under it. Empty in an empty journal. */
  readonly epochs: readonly BegunEpoch[];
  /** Who can open the epoch in force, by fingerprint. */
  readonly recipients: ReadonlyMap<string, VaultRecipient>;
  /** Who can open older epochs only, by fingerprint. */
  readonly removed: ReadonlyMap<string, RemovedRecipient>;
  /** By run, in the order in which they started. */
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  /** By run, in commit order; expired points are gone. */
  readonly points: ReadonlyMap<string, CommittedPoint>;
  /** By run, in the order in which they expired: deleted points of which everything is still there; condemned ones are gone. */
  readonly expired: ReadonlyMap<string, ExpiredPoint>;
  /** By the hold's name. */
  readonly holds: ReadonlyMap<string, Hold>;
  /** By group; the policy of all other groups is that of the group ``. */
  readonly retention: ReadonlyMap<string, SetRetention>;
  /** Packs that were emptied, by name, to the move that tells where their segments lie now. Condemned moves are gone. */
  readonly moved: ReadonlyMap<string, string>;
  /**
   * Names of packs, pages, manifests, points and moves that nothing may make live again, in the order in which they were condemned.
   * Those that nothing can make live again are forgotten: see `condemnedUnder`.
   */
  readonly condemned: ReadonlySet<string>;
  /** How many of `condemned`, in their order, were condemned under which key epoch; ascending. */
  readonly condemnedUnder: readonly CondemnedNames[];
  /** By shard (0-255): when all objects of it were last looked at. */
  readonly verified: ReadonlyMap<number, VerifiedShard>;
  /** Names of objects that a verification found damaged or missing, and nothing has repaired or condemned since. */
  readonly damaged: ReadonlySet<string>;
  /** By shard (0-255): until when all that lasts in it is locked at least. Nothing of shards whose locks were never extended. */
  readonly lockedUntil: ReadonlyMap<number, string>;
}

export type EscrowState = 'missing' | 'waived' | 'confirmed';
export type OpenRun = Omit<RunStarted, 'type'> & {
  /** Key epoch that was in force when it started. */
  readonly epoch: number;
};
export interface BegunEpoch {
  readonly epoch: number;
  /** Of the entry that began it. */
  readonly position: number;
  readonly at: string;
  /** Name of its key object; undefined for the first one, which stands in `vault.json`. */
  readonly key?: string;
}
export interface VaultRecipient extends NamedRecipient {
  /** When it was added, and the epoch that was in force then. */
  readonly since: string;
  readonly sinceEpoch: number;
  /** Name of the key object that holds the root key of the epoch in force, sealed to it; undefined: `vault.json` does. */
  readonly key?: string;
}
export interface RemovedRecipient extends VaultRecipient {
  readonly removedAt: string;
  /** The last epoch that it opens. */
  readonly lastEpoch: number;
}
export interface CondemnedNames {
  readonly epoch: number;
  readonly names: number;
}
export type CommittedPoint = Omit<PointCommitted, 'type'> & {
  /** Of its entry. */
  readonly position: number;
};
export interface ExpiredPoint extends CommittedPoint {
  readonly expiredAt: string;
  readonly expiredBecause: string;
}
export type Hold = Omit<HoldPlaced, 'type'>;
/** The policy that was set last, and the one that was in force then; without a `previous` there was none, and all was kept. */
export type SetRetention = Pick<RetentionSet, 'policy' | 'confirmed' | 'at'> & {
  readonly previous?: RetentionPolicy;
};
/** `keyed`: the last verification that had the key; `position` is that of its entry. */
export type VerifiedShard = Pick<VaultVerified, 'at' | 'keyed'> & { readonly position: number };

/** The group that stands for all that have no retention policy of their own. */
export const ANY_GROUP = '';

export const EMPTY_STATE: VaultState = {
  position: 0,
  digest: NO_DIGEST,
  vaultJson: undefined,
  escrow: 'missing',
  epochs: [],
  recipients: new Map(),
  removed: new Map(),
  openRuns: new Map(),
  points: new Map(),
  expired: new Map(),
  holds: new Map(),
  retention: new Map(),
  moved: new Map(),
  condemned: new Set(),
  condemnedUnder: [],
  verified: new Map(),
  damaged: new Set(),
  lockedUntil: new Map(),
};

/** The key epoch in force: the next entry is sealed under it. */
export function newestEpoch({ epochs }: Pick<VaultState, 'epochs'>): number {
  return epochs.at(-1)?.epoch ?? 1;
}

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

interface Draft extends VaultState {
  position: number;
  digest: string;
  vaultJson: string | undefined;
  escrow: EscrowState;
  epochs: readonly BegunEpoch[];
  recipients: Map<string, VaultRecipient>;
  readonly removed: Map<string, RemovedRecipient>;
  readonly openRuns: Map<string, OpenRun>;
  points: Map<string, CommittedPoint>;
  readonly expired: Map<string, ExpiredPoint>;
  readonly holds: Map<string, Hold>;
  readonly retention: Map<string, SetRetention>;
  readonly moved: Map<string, string>;
  readonly condemned: Set<string>;
  condemnedUnder: readonly CondemnedNames[];
  readonly verified: Map<number, VerifiedShard>;
  readonly damaged: Set<string>;
  readonly lockedUntil: Map<number, string>;
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

function expire(draft: Draft, run: string, { at, reason }: { readonly at: string; readonly reason: string }): void {
  const point = draft.points.get(run);
  if (point === undefined) return;
  draft.points.delete(run);
  draft.expired.set(run, { ...point, expiredAt: at, expiredBecause: reason });
}

/** Points come back to where they were in commit order: the newest is the newest again. */
function undelete(draft: Draft, runs: readonly string[]): void {
  const all = [...draft.points.values()];
  for (const run of runs) {
    const expired = draft.expired.get(run);
    if (expired === undefined) continue;
    const { expiredAt: _, expiredBecause: __, ...point } = expired;
    draft.expired.delete(run);
    all.push(point);
  }
  all.sort((a, b) => a.position - b.position);
  draft.points = new Map(all.map((point) => [point.run, point]));
}

/** Of policies that were set while another one still waited only the one in force before them counts: the others never were. */
function setRetention(draft: Draft, { group = ANY_GROUP, policy, confirmed, at }: RetentionSet): void {
  const before = draft.retention.get(group);
  const previous = before !== undefined && isInForce(before, Date.parse(at)) ? before.policy : before?.previous;
  draft.retention.set(group, { policy, confirmed, at, ...(previous === undefined ? {} : { previous }) });
}

function condemn(draft: Draft, entry: Condemned): void {
  const before = draft.condemned.size;
  for (const list of [entry.packs, entry.pages, entry.manifests, entry.points, entry.moves]) {
    for (const name of list) {
      draft.condemned.add(name);
      draft.damaged.delete(name);
    }
  }
  countCondemned(draft, draft.condemned.size - before);
  const gone = new Set(entry.points);
  if (gone.size > 0) for (const [run, { point }] of draft.expired) if (gone.has(point)) draft.expired.delete(run);
  const ended = new Set(entry.moves);
  if (ended.size > 0) for (const [pack, move] of draft.moved) if (ended.has(move)) draft.moved.delete(pack);
}

function verify(draft: Draft, { shards, keyed, at, damaged }: VaultVerified, position: number): void {
  for (const shard of shards) draft.verified.set(shard, { at, keyed, position });
  for (const name of damaged) draft.damaged.add(name);
}

/** No store shortens a lock: what an earlier entry said still holds. */
function extendLocks(draft: Draft, { shards, until }: LocksExtended): void {
  for (const shard of shards) {
    const before = draft.lockedUntil.get(shard);
    if (before === undefined || Date.parse(before) < Date.parse(until)) draft.lockedUntil.set(shard, until);
  }
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

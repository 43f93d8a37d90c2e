import type { ErrorCode } from '../errors.ts';
import { MOST_RECIPIENTS } from '../format/key-epoch.ts';
import type { Condemned, HoldPlaced, JournalEntry, PacksMoved, PointCommitted, RunStarted } from './entries.ts';
import type { EpochStarted, RecipientAdded } from './key-entries.ts';
import type { VaultState } from './state.ts';

/** Why an entry cannot follow. */
export interface Objection {
  /** For a writer who is about to append it; to a reader who finds it there it is `journal-broken`. */
  readonly code: ErrorCode;
  /** What the entry does, to stand behind its name: `commits run …, which is not open`. */
  readonly found: string;
}

/** Why `entry` cannot be the next one after `state`, or undefined. Asked before an entry is written and again when it is read. */
export function objectionTo(state: VaultState, entry: JournalEntry): Objection | undefined {
  if ((entry.type === 'vault-created') !== (state.position === 0)) {
    return badInput(`is ${entry.type}: a journal begins with vault-created and says so once`);
  }
  switch (entry.type) {
    case 'epoch-started':
      return badEpoch(state, entry);
    case 'recipient-added':
      return addedTwice(state, entry);
    case 'run-started':
      return startedTwice(state, entry);
    case 'run-taken-over':
      return notOpen(state, entry.run, 'takes over');
    case 'run-abandoned':
      return notOpen(state, entry.run, 'abandons');
    case 'point-committed':
      return notOpen(state, entry.run, 'commits') ?? otherGroup(state, entry) ?? condemnedAlready(state, entry);
    case 'points-expired':
      return unknownPoint(state.points, entry.points, 'expires') ?? legallyHeld(state, entry.points);
    case 'points-undeleted':
      return unknownPoint(state.expired, entry.points, 'brings back');
    case 'hold-placed':
      return badHold(state, entry);
    case 'hold-released':
      return state.holds.has(entry.hold) ? undefined : badInput(`releases hold ${entry.hold}, which nobody holds`);
    case 'packs-moved':
      return movedAlready(state, entry);
    case 'condemned':
      return stillLive(state, entry) ?? stillHeld(state, entry);
    default:
      return undefined;
  }
}

function badEpoch(state: VaultState, { epoch, recipients }: EpochStarted): Objection | undefined {
  const newest = state.epochs.length;
  if (epoch !== newest + 1) return badInput(`starts key epoch ${epoch}, but ${newest} is in force`);
  if (recipients.length === 0) return badInput(`starts key epoch ${epoch}, which nobody could open`);
  if (new Set(recipients).size !== recipients.length) return badInput(`starts key epoch ${epoch} with a key twice`);
  const unknown = recipients.find((recipient) => !state.recipients.has(recipient));
  return unknown === undefined
    ? undefined
    : badInput(`starts key epoch ${epoch} with key ${unknown}, which is no recipient`);
}

function addedTwice({ recipients }: VaultState, { recipient }: RecipientAdded): Objection | undefined {
  if (recipients.has(recipient)) return badInput(`adds key ${recipient}, which is a recipient already`);
  return recipients.size < MOST_RECIPIENTS
    ? undefined
    : badInput(`adds key ${recipient} to ${recipients.size} others: no more fit`);
}

function startedTwice(state: VaultState, { run }: RunStarted): Objection | undefined {
  if (![state.openRuns, state.points, state.expired].some((runs) => runs.has(run))) return undefined;
  return badInput(`starts run ${run} a second time`);
}

function notOpen(state: VaultState, run: string, does: string): Objection | undefined {
  if (state.openRuns.has(run)) return undefined;
  return { code: 'run-ended', found: `${does} run ${run}, which has ended or never started` };
}

function otherGroup(state: VaultState, { run, group }: PointCommitted): Objection | undefined {
  const started = state.openRuns.get(run)?.group;
  if (started === group) return undefined;
  return badInput(`commits run ${run} for group ${group}, but it was started for ${started}`);
}

function condemnedAlready(state: VaultState, { run, point, disks }: PointCommitted): Objection | undefined {
  const dead = [point, ...disks.map(({ manifest }) => manifest)].find((name) => state.condemned.has(name));
  if (dead === undefined) return undefined;
  return { code: 'condemned', found: `commits run ${run} with ${dead}, which has been condemned` };
}

function unknownPoint(
  points: ReadonlyMap<string, unknown>,
  runs: readonly string[],
  does: string,
): Objection | undefined {
  if (new Set(runs).size !== runs.length) return badInput(`${does} a point twice`);
  const unknown = runs.find((run) => !points.has(run));
  return unknown === undefined
    ? undefined
    : { code: 'point-unknown', found: `${does} ${unknown}, which is no such point` };
}

function legallyHeld(state: VaultState, runs: readonly string[]): Objection | undefined {
  const wanted = new Set(runs);
  for (const { hold, kind, points } of state.holds.values()) {
    const held = kind === 'legal' ? points.find((run) => wanted.has(run)) : undefined;
    if (held) return { code: 'held', found: `expires point ${held}, which hold ${hold} keeps` };
  }
  return undefined;
}

function badHold(state: VaultState, { hold, kind, points }: HoldPlaced): Objection | undefined {
  if (state.holds.has(hold)) return badInput(`places hold ${hold} a second time`);
  const known = new Map<string, unknown>([...state.points, ...(kind === 'read' ? state.expired : [])]);
  return unknownPoint(known, points, 'holds');
}

/** A pack that is emptied twice would have two places for one segment. */
function movedAlready(state: VaultState, { move, packs }: PacksMoved): Objection | undefined {
  if (state.condemned.has(move))
    return { code: 'condemned', found: `moves packs by ${move}, which has been condemned` };
  const dead = packs.find((pack) => state.condemned.has(pack));
  if (dead !== undefined) return { code: 'condemned', found: `moves pack ${dead}, which has been condemned` };
  const moved = packs.find((pack) => state.moved.has(pack));
  return moved === undefined ? undefined : badInput(`moves pack ${moved}, which was moved before`);
}

/** Packs and pages are behind the manifests, which the journal does not read; what it names itself it can guard. */
function stillLive(state: VaultState, entry: Condemned): Objection | undefined {
  const manifests = new Set(entry.manifests);
  const points = new Set(entry.points);
  for (const { run, point, disks } of [...state.points.values(), ...state.expired.values()]) {
    if (points.has(point)) {
      if (state.points.has(run)) return badInput(`condemns point ${point}, which has not expired`);
      continue;
    }
    const used = disks.find(({ manifest }) => manifests.has(manifest));
    if (used) return badInput(`condemns manifest ${used.manifest}, which point ${point} still uses`);
  }
  return undefined;
}

function stillHeld(state: VaultState, entry: Condemned): Objection | undefined {
  const points = new Set(entry.points);
  for (const { hold, points: runs } of state.holds.values()) {
    const held = runs.find((run) => points.has(state.expired.get(run)?.point ?? ''));
    if (held) return { code: 'held', found: `condemns point ${held}, which hold ${hold} keeps` };
  }
  return undefined;
}

function badInput(found: string): Objection {
  return { code: 'bad-input', found };
}

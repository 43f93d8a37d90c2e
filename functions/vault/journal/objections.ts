import type { ErrorCode } from '../errors.ts';
import type { Condemned, JournalEntry, PointCommitted, RunStarted } from './entries.ts';
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
    return { code: 'bad-input', found: `is ${entry.type}: a journal begins with vault-created and says so once` };
  }
  switch (entry.type) {
    case 'run-started':
      return startedTwice(state, entry);
    case 'run-abandoned':
      return notOpen(state, entry.run, 'abandons');
    case 'point-committed':
      return notOpen(state, entry.run, 'commits') ?? otherGroup(state, entry) ?? condemnedAlready(state, entry);
    case 'condemned':
      return stillLive(state, entry);
    default:
      return undefined;
  }
}

function startedTwice(state: VaultState, { run }: RunStarted): Objection | undefined {
  if (!state.openRuns.has(run) && !state.points.has(run)) return undefined;
  return { code: 'bad-input', found: `starts run ${run} a second time` };
}

function notOpen(state: VaultState, run: string, does: string): Objection | undefined {
  if (state.openRuns.has(run)) return undefined;
  return { code: 'run-ended', found: `${does} run ${run}, which has ended or never started` };
}

function otherGroup(state: VaultState, { run, group }: PointCommitted): Objection | undefined {
  const started = state.openRuns.get(run)?.group;
  if (started === group) return undefined;
  return { code: 'bad-input', found: `commits run ${run} for group ${group}, but it was started for ${started}` };
}

function condemnedAlready(state: VaultState, { run, point, disks }: PointCommitted): Objection | undefined {
  const dead = [point, ...disks.map(({ manifest }) => manifest)].find((name) => state.condemned.has(name));
  if (dead === undefined) return undefined;
  return { code: 'condemned', found: `commits run ${run} with ${dead}, which has been condemned` };
}

/** Packs and pages are behind the manifests, which the journal does not read; what it names itself it can guard. */
function stillLive(state: VaultState, entry: Condemned): Objection | undefined {
  const manifests = new Set(entry.manifests);
  const points = new Set(entry.points);
  for (const { point, disks } of state.points.values()) {
    const used = points.has(point) ? undefined : disks.find(({ manifest }) => manifests.has(manifest));
    if (used)
      return { code: 'bad-input', found: `condemns manifest ${used.manifest}, which point ${point} still uses` };
  }
  return undefined;
}

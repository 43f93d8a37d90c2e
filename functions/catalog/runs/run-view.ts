import { type ExporterState, problemIn } from '../exporters/exporter-client.ts';
import type { RunMember, RunRecord } from '../registry/records.ts';

export type MemberState = 'waiting' | 'prepared' | 'held' | 'exporting' | 'staged' | 'failed' | 'ended';
export type RunState = 'started' | 'exporting' | 'staged' | 'committed' | 'failed' | 'abandoned';

export interface MemberView {
  readonly server: string;
  readonly name: string;
  readonly host?: string;
  readonly state: MemberState;
  /** Bytes of disk. */
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  /** Of `bytesDone`, what was not sent because the vault has it. */
  readonly bytesKnown?: number;
  readonly problem?: string;
}

/** A run as callers see it; always less than 64 KiB of JSON. */
export interface RunView {
  readonly run: string;
  readonly policy: string;
  readonly vault: string;
  readonly state: RunState;
  readonly startedAt: string;
  /** The failed ones first where there are too many to name all. */
  readonly members: readonly MemberView[];
  /** How many there are in all, by state. */
  readonly counts: Readonly<Partial<Record<MemberState, number>>>;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly takenAt?: string;
  readonly windowMs?: number;
  readonly checkpointMs?: number;
  readonly endedAt?: string;
  readonly reason?: string;
  readonly missing?: readonly string[];
}

/** What is known of a member: what its exporter says, or why it says nothing. */
export type MemberFinding = { readonly said: ExporterState } | { readonly silent: string } | { readonly unknown: true };

const LONGEST_PROBLEM = 300;
const LARGEST_VIEW = 48 * 1024;
const MOST_MISSING = 100;

/** Puts together what the registry and the exporters say. `failed`: nobody is at work any more, and not all members are staged. */
export function viewRun(record: RunRecord, members: readonly MemberView[]): RunView {
  const { run, policy, vault, startedAt, moment, ended } = record;
  const view = {
    ...{ run, policy, vault, state: stateOf(record, members), startedAt, counts: countsOf(members) },
    bytesDone: members.reduce((sum, { bytesDone = 0 }) => sum + bytesDone, 0),
    bytesTotal: members.reduce((sum, { bytesTotal = 0 }) => sum + bytesTotal, 0),
    ...(moment === undefined
      ? {}
      : { takenAt: moment.takenAt, windowMs: moment.windowMs, checkpointMs: moment.checkpointMs }),
    ...(ended === undefined ? {} : { endedAt: ended.at }),
    ...(ended?.reason === undefined ? {} : { reason: ended.reason }),
    ...(ended?.missing === undefined || ended.missing.length === 0
      ? {}
      : { missing: ended.missing.slice(0, MOST_MISSING) }),
  };
  return { ...view, members: fitting(members) };
}

/** One member of a run, from what the registry and its exporter say. */
export function viewMember(record: RunRecord, member: RunMember, finding: MemberFinding | undefined): MemberView {
  const { server, name, host } = member;
  const who = { server, name: name.slice(0, 64), ...(host === undefined ? {} : { host: host.slice(0, 128) }) };
  const failed = (problem: string): MemberView => ({
    ...who,
    state: 'failed',
    problem: problem.slice(0, LONGEST_PROBLEM),
  });
  const problem = member.problem ?? record.moment?.problems[server];
  if (problem !== undefined) return failed(problem);
  if (record.ended !== undefined) return { ...who, state: record.ended.missing?.includes(server) ? 'failed' : 'ended' };
  if (finding === undefined) return { ...who, state: 'waiting' };
  if ('silent' in finding) return failed(finding.silent);
  if ('unknown' in finding) {
    return record.moment === undefined
      ? { ...who, state: 'waiting' }
      : failed('Its exporter knows nothing of this run any more.');
  }
  return { ...viewSaid(who, finding.said, failed), ...progressOf(finding.said) };
}

function viewSaid(
  who: Pick<MemberView, 'server' | 'name' | 'host'>,
  said: ExporterState,
  failed: (problem: string) => MemberView,
): MemberView {
  const { state } = said;
  if (state === 'failed') return failed(problemIn(said) ?? 'Its exporter failed and does not say why.');
  if (state === 'ended') return failed('Its exporter has ended the run by itself.');
  const known = KNOWN[state];
  return known === undefined
    ? failed(`Its exporter says ${JSON.stringify(state)}, which is unknown.`)
    : { ...who, state: known };
}

/** States of exporters, by name. */
const KNOWN: Readonly<Record<string, MemberState>> = {
  waiting: 'waiting',
  preparing: 'waiting',
  prepared: 'prepared',
  frozen: 'prepared',
  checkpointed: 'held',
  held: 'held',
  thawed: 'held',
  exporting: 'exporting',
  staged: 'staged',
};

function progressOf({ disks }: ExporterState): Pick<MemberView, 'bytesDone' | 'bytesTotal' | 'bytesKnown'> {
  const bytesKnown = disks.reduce((sum, disk) => sum + (disk.bytesKnown ?? 0), 0);
  return {
    ...(bytesKnown === 0 ? {} : { bytesKnown }),
    bytesDone: disks.reduce((sum, { bytesDone }) => sum + bytesDone, 0),
    bytesTotal: disks.reduce((sum, { bytesTotal }) => sum + bytesTotal, 0),
  };
}

function stateOf({ moment, ended }: RunRecord, members: readonly MemberView[]): RunState {
  if (ended !== undefined) return ended.outcome;
  if (moment === undefined) return 'started';
  if (members.some(({ state }) => AT_WORK.has(state))) return 'exporting';
  return members.every(({ state }) => state === 'staged') ? 'staged' : 'failed';
}

const AT_WORK: ReadonlySet<MemberState> = new Set(['waiting', 'prepared', 'held', 'exporting']);

function countsOf(members: readonly MemberView[]): RunView['counts'] {
  const counts: Partial<Record<MemberState, number>> = {};
  for (const { state } of members) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** Workflow engines refuse large answers: what fits, and first what went wrong. */
function fitting(members: readonly MemberView[]): readonly MemberView[] {
  if (sizeOf(members) <= LARGEST_VIEW) return members;
  const ordered = [...members].sort((a, b) => Number(b.state === 'failed') - Number(a.state === 'failed'));
  let size = 0;
  return ordered.filter((member) => {
    size += sizeOf(member) + 1;
    return size <= LARGEST_VIEW;
  });
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

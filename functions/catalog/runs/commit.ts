import { codeOf, EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { readListedPoint } from '#vault/records.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { type PointSummary, summaryOf } from '../points/point-summary.ts';
import { noteLast } from '../policies/note-last.ts';
import { IMAGE_POLICY, type RunEnd, type RunRecord } from '../registry/records.ts';
import { endDistrust, noteDistrust } from './distrust.ts';
import { finish } from './end-run.ts';
import type { ActiveRun } from './open-runs.ts';
import { membersOf } from './run-members.ts';
import type { MemberView } from './run-view.ts';

/**
 * Makes a run's restore point: processes what is staged, commits, and ends the moment at the exporters. Idempotent: a commit whose answer
 * was lost is answered with the point again. `partial`: without the members that failed. Throws `run-incomplete` naming members,
 * `run-ended`, `audit-failed`, `part-refused`, and what reading and the store throw.
 */
export async function commit(
  catalog: Catalog,
  caller: Caller,
  record: RunRecord,
  partial: boolean,
): Promise<PointSummary> {
  if (record.ended?.outcome === 'abandoned')
    throw new EkkoError('run-ended', `Run ${record.run} was abandoned. Start another one.`);
  const active = await catalog.runs.open(caller, record);
  const point =
    (await pointOf(active, record.run)) ??
    (await commitNow(caller, record, active, partial).catch(async (error: unknown) => {
      if (codeOf(error) === 'audit-failed') await noteDistrust(catalog.registry, caller, record);
      throw error;
    }));
  const held = serversIn(record, point);
  const missing = record.members.map(({ server }) => server).filter((server) => !held.has(server));
  const end: RunEnd = { outcome: 'committed', at: catalog.now().toISOString(), missing };
  if (record.ended === undefined) await finish(catalog, caller, record, end, held);
  await endDistrust(catalog.registry, caller, record, missing);
  await noteLast(catalog.registry, caller.project, record.policy, { point: record.run }).catch(() => undefined);
  catalog.runs.close(caller, record.run);
  return summaryOf(point);
}

/** The servers of which the point holds disks. */
function serversIn({ members }: RunRecord, point: RestorePoint): ReadonlySet<string> {
  const names = new Set(point.disks.map(({ name }) => name));
  return new Set(members.filter(({ disks }) => disks.some(({ name }) => names.has(name))).map(({ server }) => server));
}

/** The point, where the run has been committed before. */
async function pointOf({ tenant: { vault } }: ActiveRun, run: string): Promise<RestorePoint | undefined> {
  const found = (await vault.journal.refresh()).points.get(run);
  return found === undefined ? undefined : readListedPoint(vault, found);
}

async function commitNow(caller: Caller, record: RunRecord, active: ActiveRun, partial: boolean) {
  const ready = await readyMembers(record, active, await membersOf(record, caller.token), partial);
  const leftOut = record.members.filter(({ server }) => !ready.has(server));
  const without = leftOut.flatMap(({ disks }) => disks.map(({ index }) => index));
  const missing = leftOut.flatMap(({ server, disks }) =>
    disks.length === 0 ? [server] : disks.map(({ name }) => name),
  );
  try {
    // Of what an image is made of nothing is told.
    const event = { run: record.run, without, missing, topology: record.policy !== IMAGE_POLICY };
    return (await active.tenant.invoke('point-committer', event)) as RestorePoint;
  } catch (error) {
    // Another process may have been first, or the answer was lost on the way.
    const point = codeOf(error) === 'run-ended' ? await pointOf(active, record.run) : undefined;
    if (point !== undefined) return point;
    throw error;
  }
}

/** Servers whose disks are staged and processed. Throws `run-incomplete` when that is not enough. */
async function readyMembers(record: RunRecord, { parts }: ActiveRun, members: readonly MemberView[], partial: boolean) {
  const unfinished = members.filter(({ state }) => state !== 'staged' && state !== 'failed');
  if (unfinished.length > 0) throw incomplete(record.run, unfinished, 'Wait until it is staged.');
  const failed = new Map(members.filter(({ state }) => state === 'failed').map((member) => [member.server, member]));
  if (failed.size > 0 && !partial)
    throw incomplete(record.run, [...failed.values()], 'Retry, or commit with "partial": true.');
  const staged = record.members.filter(({ server }) => !failed.has(server));
  const unprocessed = await parts.settle(staged.flatMap(({ disks }) => disks.map(({ index }) => index)));
  const [first] = unprocessed.values();
  if (first !== undefined && !partial) throw first;
  const ready = staged.filter(({ disks }) => !disks.some(({ index }) => unprocessed.has(index)));
  if (ready.length > 0) return new Set(ready.map(({ server }) => server));
  throw incomplete(record.run, members, 'No member is left that could be committed. Abandon the run.');
}

const MOST_NAMED = 10;

function incomplete(run: string, members: readonly MemberView[], advice: string): EkkoError {
  const named = members
    .slice(0, MOST_NAMED)
    .map(
      ({ server, name, state, problem }) =>
        `${name} (${server}) is ${state}${problem === undefined ? '' : `: ${problem}`}`,
    );
  const more = members.length > MOST_NAMED ? `; and ${members.length - MOST_NAMED} more` : '';
  return new EkkoError('run-incomplete', `Run ${run} cannot be committed: ${named.join('; ')}${more}. ${advice}`);
}

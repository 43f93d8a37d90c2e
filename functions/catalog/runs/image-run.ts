import { randomBytes } from 'node:crypto';
import { imageName } from '#vault/images.ts';
import type { OpenRun, VaultState } from '#vault/journal/state.ts';
import { abandonRun } from '#vault/runs.ts';
import { newRunId } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { IMAGE_POLICY, type RunMember, type RunRecord, readRecord } from '../registry/records.ts';
import { commit } from './commit.ts';
import { abandon } from './end-run.ts';
import { holdMoment } from './hold-moment.ts';
import { membersOf } from './run-members.ts';

/** How far the backup of an image has come by one look at it. */
export type ImageStep =
  | { readonly state: 'storing'; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly state: 'stored' }
  | { readonly state: 'failed'; readonly problem: string };

/** Who started a run in the journal, and has not written it down after so long, has died in between. */
const BROKEN_OFF_MS = 300_000;

/**
 * Takes the backup of an image a step further: starts a run of it at the exporter of a server that was built on it, or goes on with one that
 * somebody started; commits what is staged; gives up what failed. Throws what the journal and the registry throw.
 */
export async function stepImage(
  catalog: Catalog,
  caller: Caller,
  parent: RunRecord,
  vault: Vault,
  digest: string,
): Promise<ImageStep> {
  const record = await findRun(catalog, caller, parent, vault, digest);
  if (record === undefined) return { state: 'storing', bytesDone: 0, bytesTotal: 0 };
  try {
    const held = record.moment === undefined ? await holdMoment(catalog, caller, record.run) : record;
    const [member] = await membersOf(held, caller.token);
    if (member?.state === 'staged') {
      await commit(catalog, caller, held, false);
      return { state: 'stored' };
    }
    if (member?.state !== 'failed') {
      return { state: 'storing', bytesDone: member?.bytesDone ?? 0, bytesTotal: member?.bytesTotal ?? 0 };
    }
    throw new Error(member.problem ?? 'Its exporter does not say why.');
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    await abandon(catalog, caller, record, problem.slice(0, 300)).catch(() => undefined);
    return { state: 'failed', problem };
  }
}

/** The run of the image that is under way, or a new one; undefined where somebody is about to begin one. */
async function findRun(
  catalog: Catalog,
  caller: Caller,
  parent: RunRecord,
  vault: Vault,
  digest: string,
): Promise<RunRecord | undefined> {
  const open = runOf(await vault.journal.refresh(), digest);
  if (open === undefined) return startImageRun(catalog, caller, parent, vault, digest);
  const found = await readRecord(catalog.registry, 'runs', caller.project, open.run);
  if (found !== undefined) return found.value;
  if (catalog.now().getTime() - Date.parse(open.at) < BROKEN_OFF_MS) return undefined;
  await abandonRun(vault, open.run, 'its start was broken off', catalog.now());
  return startImageRun(catalog, caller, parent, vault, digest);
}

/** A run that this catalog did not start is somebody else's business: two backups of one image do no harm. */
function runOf({ openRuns }: VaultState, digest: string): OpenRun | undefined {
  const name = imageName(digest);
  return [...openRuns.values()].find(({ group, host }) => group === name && host === 'catalog');
}

async function startImageRun(
  catalog: Catalog,
  caller: Caller,
  { vault: vaultName, members, bandwidth, imageFailures }: RunRecord,
  vault: Vault,
  digest: string,
): Promise<RunRecord | undefined> {
  const [name, now] = [imageName(digest), catalog.now()];
  const owners = members.filter(
    (each) => each.exporter && !each.problem && each.disks.some(({ image }) => image === digest),
  );
  // One that failed may be the fault of its host.
  const owner = owners[(imageFailures?.[digest] ?? 0) % owners.length];
  if (owner === undefined) return undefined;
  const run = newRunId(now, randomBytes(3));
  const at = now.toISOString();
  const record: RunRecord = {
    ...{ run, policy: IMAGE_POLICY, vault: vaultName, startedAt: at, quiesce: 'never' },
    ...(bandwidth === undefined ? {} : { bandwidth }),
    members: [memberFor(owner, name)],
  };
  try {
    await vault.journal.append((head) => {
      if (runOf(head, digest) !== undefined) throw new Underway();
      return {
        type: 'run-started',
        run,
        group: name,
        disks: [name],
        host: 'catalog',
        process: `image of ${owner.server}`,
        at,
      };
    });
  } catch (error) {
    if (error instanceof Underway) return undefined;
    throw error;
  }
  await catalog.registry.write(['runs', caller.project, run], record, 0);
  return record;
}

class Underway extends Error {}

function memberFor({ server, name: serverName, host, exporter }: RunMember, name: string): RunMember {
  return {
    ...{ server, name: serverName, disks: [{ index: 0, name, source: name, size: 0 }] },
    ...(host === undefined ? {} : { host }),
    ...(exporter === undefined ? {} : { exporter }),
  };
}

import type { RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readPoint } from '#vault/records.ts';
import { abandonRun, startRun } from '#vault/runs.ts';
import { carryTopology } from '#vault/topologies.ts';
import type { Vault } from '#vault/vault.ts';
import { removeStaged } from '../runs/end-run.ts';
import { checkEscrow } from '../runs/start-run.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';
import { stagePoint } from './stage-point.ts';
import { whileRead } from './while-read.ts';

const HOST = 'catalog';

/** Between which vaults a copy goes on, and who makes it. */
export interface CopyPlace {
  readonly source: TenantVault;
  readonly target: TenantVault;
  /** Id of its record. */
  readonly copy: string;
  /** Ids of the copies that are under way, in whichever process. */
  readonly underWay: () => Promise<ReadonlySet<string>>;
  readonly now: () => Date;
}

/**
 * Copies one restore point: a run of the other vault, whose parts the replicator stages out of this one. Throws what reading, the
 * functions and the commit throw; then the run is given up.
 */
export async function copyPoint(place: CopyPlace, point: CommittedPoint) {
  const { source, target, now } = place;
  const { vault } = target;
  checkEscrow(await vault.journal.refresh());
  await giveUpDead(place, point.group);
  const disks = point.disks.map(({ name }) => name);
  const process = `copy ${place.copy} of ${source.vault.id}`;
  const run = await startRun(vault, { group: point.group, disks, host: HOST, process }, now());
  try {
    const reason = `copied to vault ${vault.id}`;
    const work = async () => {
      const original = await readPoint(source.vault, point.point);
      const topology = await carryTopology(original, vault, run);
      return { missing: original.missing ?? [], topology, bytesRead: await stagePoint(source, target, point, run) };
    };
    const { bytesRead, ...rest } = await whileRead(source.vault, point.run, reason, now, work);
    const { id } = (await target.invoke('point-committer', { run, without: [], ...rest })) as RestorePoint;
    return { newest: id, bytesRead };
  } catch (error) {
    await giveUp(vault, run, error instanceof Error ? error.message : 'unknown', now()).catch(() => undefined);
    throw error;
  }
}

/** A copy whose process died has left its run open. This one has none yet: what has its id was left when a point could not be given up. */
async function giveUpDead({ target: { vault }, copy, underWay, now }: CopyPlace, group: string): Promise<void> {
  const left = [...vault.journal.state().openRuns.values()].filter(
    (open) => open.group === group && open.host === HOST,
  );
  const copies = left.flatMap(({ run, process = '' }) => {
    const id = /^copy (\S+) of /.exec(process)?.[1];
    return id === undefined ? [] : [{ run, id }];
  });
  const living = copies.some(({ id }) => id !== copy) ? await underWay() : new Set();
  for (const { run, id } of copies)
    if (id === copy || !living.has(id)) await giveUp(vault, run, 'the copy was broken off', now());
}

async function giveUp(vault: Vault, run: string, reason: string, now: Date): Promise<void> {
  await abandonRun(vault, run, reason, now);
  if (!(await vault.journal.refresh()).points.has(run)) await removeStaged(vault, run);
}

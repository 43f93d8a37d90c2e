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

/**
 * Copies one restore point: a run of the other vault, whose parts the replicator stages out of this one. Throws what reading, the
 * functions and the commit throw; then the run is given up.
 */
export async function copyPoint(source: TenantVault, target: TenantVault, point: CommittedPoint, now: () => Date) {
  const { vault } = target;
  checkEscrow(await vault.journal.refresh());
  await giveUpDead(vault, point.group, now());
  const disks = point.disks.map(({ name }) => name);
  const run = await startRun(vault, { group: point.group, disks, host: HOST, process: signatureOf(source) }, now());
  try {
    const reason = `copied to vault ${vault.id}`;
    const work = async () => ({
      missing: (await readPoint(source.vault, point.point)).missing ?? [],
      topology: await carryTopology(source.vault, point, vault, run),
      bytesRead: await stagePoint(source, target, point, run),
    });
    const { bytesRead, ...rest } = await whileRead(source.vault, point.run, reason, now, work);
    const { id } = (await target.invoke('point-committer', { run, without: [], ...rest })) as RestorePoint;
    return { newest: id, bytesRead };
  } catch (error) {
    await giveUp(vault, run, error instanceof Error ? error.message : 'unknown', now()).catch(() => undefined);
    throw error;
  }
}

function signatureOf({ vault }: TenantVault): string {
  return `copy of ${vault.id}`;
}

/** A copy whose process died has left its run open. There is one copy at a time: its record in the registry sees to that. */
async function giveUpDead(vault: Vault, group: string, now: Date): Promise<void> {
  for (const open of vault.journal.state().openRuns.values()) {
    const dead = open.group === group && open.host === HOST && open.process?.startsWith('copy of ') === true;
    if (dead) await giveUp(vault, open.run, 'the copy was broken off', now);
  }
}

async function giveUp(vault: Vault, run: string, reason: string, now: Date): Promise<void> {
  await abandonRun(vault, run, reason, now);
  if (!(await vault.journal.refresh()).points.has(run)) await removeStaged(vault, run);
}

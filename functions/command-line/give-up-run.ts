import { abandonRun } from '#vault/runs.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { isGone } from './this-process.ts';

/** Ends a run for good, and removes what was staged for it: of no use any more, and in the way on a full store. */
export async function giveUpRun(vault: Vault, run: string, reason: string): Promise<void> {
  await abandonRun(vault, run, reason, new Date());
  if ((await vault.journal.refresh()).points.has(run)) return;
  for (const folder of [Folder.staging, Folder.receipts]) {
    for await (const { key } of vault.store.list(`${folder}${run}/`)) await vault.store.remove([key]);
  }
}

/** Gives up the runs of a group whose process is gone: they can never go on, and saying so keeps the journal's state small. */
export async function giveUpDeadRuns(vault: Vault, group: string): Promise<void> {
  for (const open of vault.journal.state().openRuns.values()) {
    if (open.group === group && isGone(open)) await giveUpRun(vault, open.run, 'its process is gone');
  }
}

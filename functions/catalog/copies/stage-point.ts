import { setTimeout as pause } from 'node:timers/promises';
import { earlierCopies } from '#vault/copies/earlier-copies.ts';
import { encodeTicket, serverTicket } from '#vault/export-ticket.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { Folder } from '#vault/store/object-names.ts';
import { openRunParts } from '../runs/process-parts.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';

export type StagingVault = Pick<TenantVault, 'vault' | 'invoke'>;

const LOOK_MS = 1000;

/**
 * Has a restore point of `source` staged in a run of `target`, and its parts processed meanwhile. Answers how many bytes of disk were read.
 * Throws what the replicator throws, and the first failure of a part; either way nothing is staged any more by then.
 */
export async function stagePoint(
  source: StagingVault,
  target: StagingVault & Pick<TenantVault, 'upload'>,
  { run: point, disks }: Pick<CommittedPoint, 'run' | 'disks'>,
  run: string,
): Promise<number> {
  const indexes = disks.map((_, index) => index);
  const names = disks.map(({ name }) => name);
  const earlier = earlierCopies(source.vault, target.vault);
  const parts = openStagedParts(target, run);
  let bytesRead = 0;
  for (const [index, disk] of names.entries()) {
    // The right to upload lasts for some hours: each disk has them all.
    const rest = {
      upload: await target.upload(run),
      quiesce: 'never',
      bandwidth: undefined,
      readAll: undefined,
    } as const;
    const ticket = encodeTicket(serverTicket(target.vault, run, names, [index], rest));
    const staged = source.invoke('replicator', { point, disk, ticket, earlier: earlier.get(disk) });
    bytesRead += ((await whileStaged(staged, parts.look)) as { readonly bytesRead: number }).bytesRead;
  }
  await parts.end(indexes);
  return bytesRead;
}

/** Looks again and again until what stages has ended: also where a look fails, for what stages cannot be called off. */
async function whileStaged<T>(staged: Promise<T>, look: () => Promise<void>): Promise<T> {
  const ended = new AbortController();
  const end = Promise.allSettled([staged]).then(() => ended.abort());
  try {
    while (!ended.signal.aborted) {
      await pause(LOOK_MS, undefined, { signal: ended.signal }).catch(() => undefined);
      if (!ended.signal.aborted) await look();
    }
  } finally {
    await end;
  }
  return staged;
}

function openStagedParts(target: StagingVault, run: string) {
  const parts = openRunParts(run, target);
  let seen: ReadonlySet<string> = new Set();
  return {
    /** Has what is new processed. Throws the first failure. */
    async look(): Promise<void> {
      const keys = new Set<string>();
      for await (const { key } of target.vault.store.list(`${Folder.staging}${run}/`))
        if (!key.endsWith('/summary')) keys.add(key);
      await parts.notice([...keys].filter((key) => !seen.has(key)));
      seen = keys;
      const [failure] = parts.failures();
      if (failure !== undefined) throw failure;
    },
    /** Has the rest processed. Throws the first failure. */
    async end(disks: readonly number[]): Promise<void> {
      const [failure] = (await parts.settle(disks)).values();
      if (failure !== undefined) throw failure;
    },
  };
}

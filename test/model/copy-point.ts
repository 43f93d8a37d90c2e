import { earlierCopies } from '#vault/copies/earlier-copies.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { readPoint } from '#vault/records.ts';
import { carryTopology } from '#vault/topologies.ts';
import type { Vault } from '#vault/vault.ts';
import { copyPlan } from '../../functions/command-line/copy/copy-plan.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { openVaultSource } from '../../functions/replicator/vault-source.ts';
import { openInlineHost } from './inline-host.ts';

export interface CopySettings {
  readonly partSegments?: number;
  readonly signal?: AbortSignal;
  /** Called with the bytes that are read. */
  readonly read?: (bytes: number) => void;
  /** The plan that the run is said to have. Default: the right one. */
  readonly plan?: string;
}

/** Copies a restore point to another vault, as `ekko copy` does. */
export async function copyPoint(
  from: Vault,
  to: Vault,
  run: string,
  settings: CopySettings = {},
): Promise<RestorePoint> {
  const { partSegments = 5, read = () => undefined, signal } = settings;
  const earlier = earlierCopies(from, to);
  const source = await openVaultSource({ vault: from, point: run, earlier });
  const original = from.journal.state().points.get(run);
  if (original === undefined) throw new Error(`There is no point ${run}.`);
  const { plan = copyPlan(from, original, earlier, to, partSegments) } = settings;
  const watch = { planned: () => undefined, read, staged: () => undefined, distrusted: () => undefined };
  return runBackup({
    ...{ vault: to, host: openInlineHost(to), source, group: 'default', quiesce: 'never', plan },
    ...{ readAll: undefined, auditShare: 0, bandwidth: undefined, partSegments, partsWaiting: 3, watch },
    keepTopology: async (copy) => carryTopology(await readPoint(from, original.point), to, copy),
    ...(signal === undefined ? {} : { signal }),
  });
}

import { pathToFileURL } from 'node:url';
import type { RestorePoint } from '#vault/format/point.ts';
import type { Vault } from '#vault/vault.ts';
import { type RestoreResult, restoreDisk } from '../../../host-exporter/restore/restore-disk.ts';
import { readState } from '../../../host-exporter/restore/restore-state.ts';
import { bundlePath } from '../../host/bundles.ts';
import { whileHeld } from '../holds/read-hold.ts';
import { watchSignals } from '../interruption.ts';
import { openCommandVault } from '../open-command-vault.ts';
import { findListedPoint } from '../points/find-point.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';
import { chooseTargets, type DiskTarget } from './choose-targets.ts';

export interface RestoreOptions {
  readonly format: 'raw' | 'qcow2' | undefined;
  readonly overwrite: boolean;
  readonly bestEffort: boolean;
  /** End only when all is on stable storage. Block devices always do: they may be detached next. */
  readonly flush: boolean;
  readonly workers: number;
}

/** What became of one disk. */
export interface RestoredDisk extends RestoreResult {
  readonly disk: string;
  readonly path: string;
  readonly kind: DiskTarget['kind'];
  /** It went on where an earlier restore was cut off. */
  readonly resumed: boolean;
}

export interface RestoreReport {
  readonly point: string;
  readonly takenAt: string;
  /** A hold kept the point while it was read; false where the vault cannot be written to. */
  readonly held: boolean;
  readonly disks: readonly RestoredDisk[];
}

/** Restores the disks that `POINT` or `POINT/DISK` means, one after the other. Throws what finding and restoring them throws, and `Interrupted`. */
export async function restorePoint(
  url: string,
  wanted: string,
  target: string,
  options: RestoreOptions,
  context: CommandContext,
): Promise<RestoreReport> {
  const { screen } = context;
  const interruption = watchSignals(() => screen.remark('Ending; the same command goes on from here later.'));
  try {
    const vault = await openCommandVault(url, context);
    const point = await findListedPoint(vault, wanted);
    if (vault.journal.state().expired.has(point.id))
      screen.remark(`Point ${point.id} is deleted: \`ekko undelete\` keeps it.`);
    const targets = await chooseTargets(point.disks, target, options.format);
    return await whileHeld(vault, point.id, 'restore', screen, async (held) => {
      const disks: RestoredDisk[] = [];
      for (const each of targets)
        disks.push(await restoreOne(vault, point, each, options, context, interruption.signal));
      return { point: point.id, takenAt: point.takenAt, held, disks };
    });
  } finally {
    interruption.ignore();
  }
}

async function restoreOne(
  vault: Vault,
  point: RestorePoint,
  { disk, kind, path }: DiskTarget,
  { overwrite, bestEffort, flush, workers }: RestoreOptions,
  { screen }: CommandContext,
  signal: AbortSignal,
): Promise<RestoredDisk> {
  const begun = await isBegun(path, point.id, disk);
  if (begun) screen.remark(`Going on with the restore of ${disk.name} to ${path} that was cut off.`);
  const progress = await openProgress(screen, 'Restoring', signal);
  try {
    const result = await restoreDisk({
      ...{ reader: vault, point: point.id, disk: disk.name, manifest: disk.manifest, bestEffort, signal },
      target: { kind, path, overwrite },
      threads: { count: workers, entry: pathToFileURL(bundlePath('restore-worker')) },
      // Whoever overwrites means whatever lies there, also the half of another restore; their own half they want finished.
      resume: begun || !overwrite,
      durable: flush || kind === 'device',
      onProgress: ({ doneBytes, totalBytes }) => progress.update(doneBytes, totalBytes),
    });
    return { ...result, disk: disk.name, path, kind, resumed: begun };
  } finally {
    progress.end();
  }
}

/** Whether the target holds a part of this very restore. What else may be there the restore itself judges. */
async function isBegun(
  path: string,
  point: string,
  disk: { readonly name: string; readonly manifest: string },
): Promise<boolean> {
  const state = await readState(path).catch(() => undefined);
  return state?.point === point && state.disk === disk.name && state.manifest === disk.manifest;
}

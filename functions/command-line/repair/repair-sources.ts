import { EkkoError } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import { openCopySource } from '../../verifier/copy-source.ts';
import type { SegmentSource } from '../../verifier/segment-source.ts';
import { openStoredVault } from '../open-command-vault.ts';
import type { CommandContext } from '../run-command.ts';
import { type DiskChoice, openDiskSource } from './disk-source.ts';

export interface RepairOptions {
  /** Path or URL of a replica of the vault, or of a vault with copies of its restore points. */
  readonly from: string | undefined;
  /** Opens the vault with copies; undefined: the key given for the vault itself. */
  readonly fromKeyFile: string | undefined;
  readonly disks: readonly DiskChoice[];
  /** Of the disks; undefined: looked for. */
  readonly format: 'raw' | 'qcow2' | undefined;
  readonly dryRun: boolean;
}

export interface RepairSources {
  /** Has the same objects under the same names. */
  readonly replica: ObjectStore | undefined;
  /** Asked in this order. */
  readonly segments: readonly SegmentSource[];
}

/**
 * A locked vault may do without any: it is repaired from its own older versions. Throws `bad-input` for none elsewhere, and for a vault
 * that is neither a replica nor has copies; what opening vaults and disks throws.
 */
export async function openRepairSources(
  vault: Vault,
  { from, fromKeyFile, disks, format }: RepairOptions,
  context: CommandContext,
): Promise<RepairSources> {
  const isLocked = vault.description.lock !== undefined && vault.store.locking !== undefined;
  if (from === undefined && disks.length === 0 && !isLocked)
    throw new EkkoError(
      'bad-input',
      'Name a vault by --from or a disk by --from-disk: only a locked vault holds what it needs.',
    );
  const store = from === undefined ? undefined : await openStore(from);
  const isReplica = store !== undefined && (await readDescription(store)).description.vault === vault.id;
  const segments: SegmentSource[] = [];
  if (store !== undefined && !isReplica) {
    const given = {
      ...context,
      ...(fromKeyFile === undefined ? {} : { keyFile: fromKeyFile, by: 'key-file' as const }),
    };
    const other = await openStoredVault(store, { ...given, journalFile: undefined });
    segments.push(openCopySource(other, vault.id));
  }
  for (const disk of disks) segments.push(await openDiskSource(disk, format));
  return { replica: isReplica ? store : undefined, segments };
}

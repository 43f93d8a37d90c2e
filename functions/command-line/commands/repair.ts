import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import { readDiskArgument } from '../arguments/read-disk.ts';
import { readWord } from '../arguments/read-value.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { DiskChoice } from '../repair/disk-source.ts';
import type { RepairOptions } from '../repair/repair-sources.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface RepairArguments extends EveryCommand {
  readonly from?: string;
  readonly fromKeyFile?: string;
  readonly fromDisk: readonly string[];
  readonly format?: string;
  readonly dryRun?: boolean;
}

const EXAMPLE = `ekko repair /backups/web --from /mnt/replica
ekko repair /backups/web --from s3://far-away/web --from-key-file ~/far-away.key --from-disk root=/dev/vg/web`;

/** `ekko repair VAULT [--from VAULT] [--from-disk NAME=PATH]` */
export function addRepair(program: Command, run: Runner): void {
  const summary =
    'put back what is damaged or missing, from a replica, a copy, a disk, or what a write-once vault hides';
  const command = addCommand(program, 'repair', 'VAULT', summary, EXAMPLE)
    .argument('<vault>', 'path or URL of the vault')
    .option(
      '--from <vault>',
      'a replica (`ekko copy --as-is`), or a vault that points were copied to; a write-once vault may do without',
    )
    .option('--from-key-file <file>', 'the key file of the vault with the copies (default: the same)')
    .option(
      '--from-disk <name=path>',
      'a disk, as restore points call it, that can be read; may be repeated',
      collect,
      [],
    )
    .option('--format <format>', 'of the disks: raw or qcow2 (default: looked for)')
    .option('--dry-run', 'only say what could be put back');
  withKeyOrCode(command).action((vault: string, given: RepairArguments) =>
    run(given, async (context) => {
      const [{ repair }, { describeRepair }] = await Promise.all([
        import('../repair/repair.ts'),
        import('../repair/describe-repair.ts'),
      ]);
      const report = await repair(vault, optionsOf(given), context);
      context.screen.lines(...describeRepair(report));
      context.screen.document(report);
      return report.damaged > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}

function optionsOf({ from, fromKeyFile, fromDisk, format, dryRun = false }: RepairArguments): RepairOptions {
  return {
    ...{ from, fromKeyFile, dryRun },
    disks: fromDisk.map(readChoice),
    format: format === undefined ? undefined : readWord(format, '--format', ['raw', 'qcow2']),
  };
}

function readChoice(text: string): DiskChoice {
  const { name, place } = readDiskArgument(text);
  if (name !== undefined) return { name, path: place };
  throw new EkkoError('bad-input', `--from-disk ${place} does not say which disk it is: write NAME=${place}.`);
}

import type { Command } from 'commander';
import { readSize } from '../arguments/read-size.ts';
import { readInteger } from '../arguments/read-value.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface CopyArguments extends EveryCommand {
  readonly asIs?: boolean;
  readonly group?: string;
  readonly last?: string;
  readonly only?: string;
  readonly again?: boolean;
  readonly bandwidth?: string;
  readonly dryRun?: boolean;
  readonly targetKeyFile?: string;
  readonly targetJournalFile?: string;
}

const EXAMPLE = `ekko copy /backups/web s3://far-away/web --target-key-file ~/far-away.key
ekko copy /backups/web /mnt/replica --as-is`;
const MOST_POINTS = 100_000;

/** `ekko copy VAULT VAULT` */
export function addCopy(program: Command, run: Runner): void {
  const summary = 'copy restore points to another vault, or a vault as it is';
  const command = addCommand(program, 'copy', 'FROM TO', summary, EXAMPLE)
    .argument('<from>', 'path or URL of the vault')
    .argument('<to>', 'the vault to copy to (made by `ekko init`); with --as-is an empty place, or an earlier replica')
    .option('--as-is', 'make a replica: the same objects, opened by the same key; needs no key now')
    .option('--target-key-file <file>', 'the key file of the vault to copy to (default: the same)')
    .option('--target-journal-file <file>', 'where the SQL journal of the vault to copy to is, if it has one')
    .option('--group <name>', 'only restore points of this group')
    .option('--last <number>', 'only the newest so many of each group')
    .option('--only <rules>', 'only what such retention rules would keep: daily=7,monthly=12')
    .option('--again', 'also what is older than the newest copy, and was deleted there or never copied')
    .option('--bandwidth <size>', 'read at most so much a second, such as 100M')
    .option('--dry-run', 'only say what would be copied');
  withKeyOrCode(command).action((from: string, to: string, given: CopyArguments) =>
    run(given, async (context) => {
      const [{ copyVault }, { describeCopy }] = await Promise.all([
        import('../copy/copy-vault.ts'),
        import('../copy/describe-copy.ts'),
      ]);
      const outcome = await copyVault(from, to, optionsOf(given), context);
      context.screen.lines(...describeCopy(outcome));
      context.screen.document(outcome);
      const incomplete =
        outcome.kind === 'points'
          ? outcome.points.some((point) => point.outcome === 'failed')
          : outcome.damaged.length > 0;
      return incomplete ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

function optionsOf({
  last,
  only,
  bandwidth,
  group,
  asIs,
  again,
  dryRun,
  targetKeyFile,
  targetJournalFile,
}: CopyArguments) {
  return {
    asIs: asIs === true,
    again: again === true,
    dryRun: dryRun === true,
    last: last === undefined ? undefined : readInteger(last, '--last', 1, MOST_POINTS),
    bandwidth: bandwidth === undefined ? undefined : readSize(bandwidth, '--bandwidth'),
    ...{ group, only, targetKeyFile, targetJournalFile },
  };
}

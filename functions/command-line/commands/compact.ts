import type { Command } from 'commander';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface CompactArguments extends EveryCommand {
  readonly dryRun?: boolean;
  readonly below?: string;
  readonly limit?: string;
}

/** `ekko compact VAULT` */
export function addCompact(program: Command, run: Runner): void {
  const summary = 'rewrite packs of which little is still needed, so that the rest can go';
  const command = addCommand(program, 'compact', 'VAULT', summary, 'ekko compact /backups/web --limit 20G')
    .argument('<vault>', 'path or URL of the vault')
    .option('--dry-run', 'say what would be rewritten, and change nothing')
    .option('--below <percent>', 'share of a pack that is still needed, below which it is rewritten', '50%')
    .option('--limit <size>', 'how much to copy at most, such as 20G');
  withKey(command).action((vault: string, { dryRun = false, below = '50%', limit, ...options }: CompactArguments) =>
    run(options, async (context) => {
      const [{ compact }, { describeCompaction }, { readPercent }, { readSize }] = await Promise.all([
        import('../compact/compact.ts'),
        import('../compact/describe-compaction.ts'),
        import('../arguments/read-value.ts'),
        import('../arguments/read-size.ts'),
      ]);
      const limitBytes = limit === undefined ? undefined : readSize(limit, '--limit');
      const report = await compact(vault, { dryRun, below: readPercent(below, '--below'), limitBytes }, context);
      context.screen.lines(...describeCompaction(report));
      context.screen.document(report);
      return report.problems.length > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

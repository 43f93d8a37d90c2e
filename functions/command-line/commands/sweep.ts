import type { Command } from 'commander';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface SweepArguments extends EveryCommand {
  readonly dryRun?: boolean;
  readonly grace?: string;
  readonly samples?: boolean;
  readonly abandonOlderThan?: string;
}

/** `ekko sweep VAULT` */
export function addSweep(program: Command, run: Runner): void {
  const summary = 'remove what no restore point needs any more';
  const command = addCommand(program, 'sweep', 'VAULT', summary, 'ekko sweep /backups/web --dry-run')
    .argument('<vault>', 'path or URL of the vault')
    .option('--dry-run', 'say what would go, and change nothing')
    .option('--grace <time>', 'how long an expired point can be brought back: 7d, 36h, 0', '7d')
    .option('--samples', 'also read every dedupe sample, and remove those of packs that are gone')
    .option('--abandon-older-than <time>', 'first give up runs that began so long ago and are still open');
  withKey(command).action((vault: string, options: SweepArguments) =>
    run(options, async (context) => {
      const [{ sweep }, { describeSweep }, { readDuration }] = await Promise.all([
        import('../sweep/sweep.ts'),
        import('../sweep/describe-sweep.ts'),
        import('../arguments/read-duration.ts'),
      ]);
      const { dryRun = false, samples = false, grace = '7d', abandonOlderThan: oldest } = options;
      const report = await sweep(
        vault,
        {
          ...{ dryRun, samples, graceHours: readDuration(grace, '--grace') },
          abandonHours: oldest === undefined ? undefined : readDuration(oldest, '--abandon-older-than'),
        },
        context,
      );
      context.screen.lines(...describeSweep(report));
      context.screen.document(report);
      return report.problems.length > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

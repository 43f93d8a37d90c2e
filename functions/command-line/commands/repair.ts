import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';
import { formatCount } from '../text/sizes.ts';

interface RepairArguments extends EveryCommand {
  readonly from: string;
  readonly dryRun?: boolean;
}

/** `ekko repair VAULT --from REPLICA` */
export function addRepair(program: Command, run: Runner): void {
  const summary = 'put damaged and missing objects back from a replica';
  const example = 'ekko repair /backups/web --from /mnt/replica';
  const command = addCommand(program, 'repair', 'VAULT', summary, example)
    .argument('<vault>', 'path or URL of the vault')
    .requiredOption('--from <vault>', 'path or URL of a replica (`ekko copy --as-is`)')
    .option('--dry-run', 'only say what could be put back');
  withKeyOrCode(command).action((vault: string, { from, dryRun = false, ...given }: RepairArguments) =>
    run(given, async (context) => {
      const [{ repair }, { describeFinding }] = await Promise.all([
        import('../repair/repair.ts'),
        import('../verify/describe-verify.ts'),
      ]);
      const report = await repair(vault, { from, dryRun }, context);
      const { objects, findings } = report;
      context.screen.lines(
        ...(objects.length === 0
          ? ['Nothing is damaged or missing.']
          : objects.map(({ key, outcome }) => `${WORDS[outcome]}  ${key}`)),
        ...(findings.length === 0
          ? []
          : ['', `${formatCount(findings.length, 'object is', 'objects are')} damaged or missing:`]),
        ...findings.flatMap(describeFinding),
      );
      context.screen.document(report);
      return findings.length > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

const WORDS = { repaired: 'put back  ', repairable: 'could be  ', left: 'not there ' } as const;

import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';
import { formatCount } from '../text/sizes.ts';

interface RepairArguments extends EveryCommand {
  readonly from?: string;
  readonly dryRun?: boolean;
}

/** `ekko repair VAULT [--from REPLICA]` */
export function addRepair(program: Command, run: Runner): void {
  const summary = 'put damaged and missing objects back from a replica, or what was hidden in a write-once vault';
  const example = 'ekko repair /backups/web --from /mnt/replica';
  const command = addCommand(program, 'repair', 'VAULT', summary, example)
    .argument('<vault>', 'path or URL of the vault')
    .option('--from <vault>', 'path or URL of a replica (`ekko copy --as-is`); a write-once vault may do without')
    .option('--dry-run', 'only say what could be put back');
  withKeyOrCode(command).action((vault: string, { from, dryRun = false, ...given }: RepairArguments) =>
    run(given, async (context) => {
      const [{ repair }, { describeFinding }] = await Promise.all([
        import('../repair/repair.ts'),
        import('../verify/describe-verify.ts'),
      ]);
      const report = await repair(vault, { from, dryRun }, context);
      const { uncovered, objects, findings } = report;
      context.screen.lines(
        ...uncovered.map(({ key, outcome }) => `${UNCOVERED[outcome]}  ${key}`),
        ...(objects.length + findings.length + uncovered.length === 0
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

const UNCOVERED = {
  uncovered: 'uncovered ',
  covered: 'put on top',
  covering: 'is covered',
  lost: 'no version',
} as const;
const WORDS = { repaired: 'put back  ', repairable: 'could be  ', left: 'not there ' } as const;

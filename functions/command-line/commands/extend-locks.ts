import type { Command } from 'commander';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface ExtendArguments extends EveryCommand {
  readonly dryRun?: boolean;
}

/** `ekko extend-locks VAULT` */
export function addExtendLocks(program: Command, run: Runner): void {
  const summary = 'keep locked what is still needed, in a write-once vault (a sweep does so too)';
  const command = addCommand(program, 'extend-locks', 'VAULT', summary, 'ekko extend-locks s3://backups/web')
    .argument('<vault>', 'URL of the vault')
    .option('--dry-run', 'say what would be extended, and change nothing');
  withKey(command).action((vault: string, { dryRun = false, ...given }: ExtendArguments) =>
    run(given, async (context) => {
      const { describeExtension, extend } = await import('../locks/extend-locks.ts');
      const report = await extend(vault, dryRun, context);
      context.screen.lines(...describeExtension(report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

export interface VerifyArguments extends EveryCommand {
  readonly keyless?: boolean;
}

/** `ekko verify VAULT` */
export function addVerify(program: Command, run: Runner): void {
  const summary = 'check all that lies in a vault, down to the last segment';
  const command = addCommand(program, 'verify', 'VAULT', summary, 'ekko verify /backups/web')
    .argument('<vault>', 'path or URL of the vault')
    .option('--keyless', 'only compare objects with their names, as anybody can who has the store');
  withKeyOrCode(command).action((vault: string, { keyless = false, ...options }: VerifyArguments) =>
    run(options, async (context) => {
      const [{ verify }, { describeVerify }] = await Promise.all([
        import('../verify/verify.ts'),
        import('../verify/describe-verify.ts'),
      ]);
      const report = await verify(vault, keyless, context);
      context.screen.lines(...describeVerify(report, keyless));
      context.screen.document(report);
      return report.findings.length > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

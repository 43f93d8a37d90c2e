import type { Command } from 'commander';
import { readPercent } from '../arguments/read-value.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

export interface VerifyArguments extends EveryCommand {
  readonly keyless?: boolean;
  readonly percent: string;
  readonly record: boolean;
}

/** `ekko verify VAULT` */
export function addVerify(program: Command, run: Runner): void {
  const summary = 'check all that lies in a vault, down to the last segment';
  const command = addCommand(program, 'verify', 'VAULT', summary, 'ekko verify /backups/web')
    .argument('<vault>', 'path or URL of the vault')
    .option('--keyless', 'only compare objects with their names, as anybody can who has the store')
    .option('--percent <number>', 'only this share of the vault: what was checked longest ago', '100')
    .option('--no-record', 'do not tell the journal what was found');
  withKeyOrCode(command).action((vault: string, { keyless = false, percent, record, ...options }: VerifyArguments) =>
    run(options, async (context) => {
      const [{ verify }, { describeVerify }] = await Promise.all([
        import('../verify/verify.ts'),
        import('../verify/describe-verify.ts'),
      ]);
      const report = await verify(
        vault,
        { keyless, percent: readPercent(percent, '--percent') * 100, record },
        context,
      );
      context.screen.lines(...describeVerify(report, keyless));
      context.screen.document(report);
      return report.damaged > 0 ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

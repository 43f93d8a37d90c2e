import type { Command } from 'commander';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko doctor VAULT` */
export function addDoctor(program: Command, run: Runner): void {
  const summary = 'say what works and what does not: store, vault, key, tools';
  const command = addCommand(program, 'doctor', 'VAULT', summary, 'ekko doctor /backups/web');
  withKey(command.argument('<vault>', 'path or URL of a vault, or of a place for one')).action(
    (vault: string, options: EveryCommand) =>
      run(options, async (context) => {
        const [{ examine }, { describeFindings }] = await Promise.all([
          import('../doctor/examine.ts'),
          import('../doctor/finding.ts'),
        ]);
        const findings = await examine(vault, context);
        const wrong = findings.filter(({ verdict }) => verdict === 'wrong').length;
        const sum = wrong === 0 ? 'Nothing is wrong.' : `${wrong} of ${findings.length} checks found something wrong.`;
        context.screen.lines(...describeFindings(findings), '', sum);
        context.screen.document({ wrong, findings });
        return wrong === 0 ? ExitCode.done : ExitCode.damaged;
      }),
  );
}

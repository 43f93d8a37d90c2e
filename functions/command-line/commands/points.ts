import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko points VAULT` */
export function addPoints(program: Command, run: Runner): void {
  const command = addCommand(
    program,
    'points',
    'VAULT',
    'list the restore points of a vault',
    'ekko points /backups/web',
  );
  withKeyOrCode(command.argument('<vault>', 'path or URL of the vault')).action(
    (vault: string, options: EveryCommand) =>
      run(options, async (context) => {
        const [{ openCommandVault }, { describePoints, listPoints }] = await Promise.all([
          import('../open-command-vault.ts'),
          import('../points/list-points.ts'),
        ]);
        const points = await listPoints(await openCommandVault(vault, context));
        context.screen.lines(...describePoints(points, new Date()));
        context.screen.document({ points });
        return points.some(({ problem }) => problem !== undefined) ? ExitCode.damaged : ExitCode.done;
      }),
  );
}

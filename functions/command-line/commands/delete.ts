import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface DeleteArguments extends EveryCommand {
  readonly reason: string;
  readonly dryRun?: boolean;
  readonly lastOneToo?: boolean;
}

/** `ekko delete VAULT POINT...` */
export function addDelete(program: Command, run: Runner): void {
  const summary = 'delete restore points; for a week they can be brought back';
  const command = addCommand(program, 'delete', 'VAULT POINT...', summary, 'ekko delete /backups/web 20261120-191503')
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point...>', 'ids of the points, the beginnings of them, or `latest`')
    .option('--reason <text>', 'why, for whoever wonders later', 'asked for')
    .option('--dry-run', 'say what would be freed, and change nothing')
    .option('--last-one-too', 'also the last point of a group');
  withKeyOrCode(command).action((vault: string, points: readonly string[], options: DeleteArguments) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { deletePoints }, { describeDeletion }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../deletion/delete-points.ts'),
        import('../deletion/deletion-words.ts'),
      ]);
      const { reason, dryRun = false, lastOneToo = false } = options;
      const request = { points, reason, dryRun, lastOneToo, now: new Date() };
      const report = await deletePoints(await openCommandVault(vault, context), request);
      context.screen.lines(...describeDeletion(vault, report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko undelete VAULT POINT...` */
export function addUndelete(program: Command, run: Runner): void {
  const summary = 'bring deleted restore points back';
  const command = addCommand(
    program,
    'undelete',
    'VAULT POINT...',
    summary,
    'ekko undelete /backups/web 20261120-191503',
  )
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point...>', 'ids of the points, or the beginnings of them: see `ekko points --deleted`');
  withKeyOrCode(command).action((vault: string, points: readonly string[], options: EveryCommand) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { undeletePoints }, { describeUndeletion }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../deletion/undelete-points.ts'),
        import('../deletion/deletion-words.ts'),
      ]);
      const report = await undeletePoints(await openCommandVault(vault, context), points, new Date());
      context.screen.lines(...describeUndeletion(vault, report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

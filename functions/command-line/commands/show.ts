import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko show VAULT POINT` */
export function addShow(program: Command, run: Runner): void {
  const command = addCommand(
    program,
    'show',
    'VAULT POINT[/DISK]',
    'show all that is known of a restore point',
    'ekko show /backups/web latest',
  )
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point>', 'id of the point, the beginning of one, or `latest`; behind a "/" one disk');
  withKeyOrCode(command).action((vault: string, point: string, options: EveryCommand) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { findPoint }, { describePoint, standingOf }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../points/find-point.ts'),
        import('../points/show-point.ts'),
      ]);
      const opened = await openCommandVault(vault, context);
      const found = await findPoint(opened, point);
      const standing = standingOf(opened.journal.state(), found.id);
      context.screen.lines(...describePoint(found, standing, new Date()));
      context.screen.document({ point: found, ...standing });
      return ExitCode.done;
    }),
  );
}

import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

interface ShowArguments extends EveryCommand {
  readonly topology?: boolean;
}

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
  command.option('--topology', 'what its servers were built of, all of it, as JSON; may hold secrets');
  withKeyOrCode(command).action((vault: string, point: string, { topology = false, ...options }: ShowArguments) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { findPoint }, { describePoint, standingOf }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../points/find-point.ts'),
        import('../points/show-point.ts'),
      ]);
      const opened = await openCommandVault(vault, context);
      const found = await findPoint(opened, point);
      if (topology) return showTopology(found, context);
      const standing = standingOf(opened.journal.state(), found.id);
      context.screen.lines(...describePoint(found, standing, new Date()));
      context.screen.document({ point: found, ...standing });
      return ExitCode.done;
    }),
  );
}

function showTopology({ id, topology }: RestorePoint, { screen }: CommandContext): ExitCode {
  if (topology === undefined)
    throw new EkkoError('not-found', `Restore point ${id} does not tell what its disks belong to: none of a cloud's.`);
  screen.lines(...JSON.stringify(topology, null, 2).split('\n'));
  screen.document({ point: id, topology });
  return ExitCode.done;
}

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
      // What a user gave its servers may be secret: only who asks for it gets it.
      const { topology: _secret, ...shown } = found;
      context.screen.document({ point: shown, ...standing });
      return ExitCode.done;
    }),
  );
}

function showTopology({ id, topology }: RestorePoint, { screen }: CommandContext): ExitCode {
  if (topology === undefined)
    throw new EkkoError(
      'not-found',
      `Restore point ${id} does not tell what its servers were built of: only points that the catalog of a cloud takes do.`,
    );
  // What JSON leaves as it is, and a terminal may obey.
  const text = JSON.stringify(topology, null, 2).replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, escaped);
  screen.lines(...text.split('\n'));
  screen.document({ point: id, topology });
  return ExitCode.done;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

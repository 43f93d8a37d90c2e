import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko diff VAULT POINT [OTHER]` */
export function addDiff(program: Command, run: Runner): void {
  const command = addCommand(
    program,
    'diff',
    'VAULT POINT [OTHER]',
    'tell what changed in a group up to a restore point',
    'ekko diff swift://backups latest',
  )
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point>', 'id of the point, the beginning of one, or `latest`')
    .argument('[other]', 'the point to compare it with; default: the one before of the same group');
  withKeyOrCode(command).action((vault: string, point: string, other: string | undefined, options: EveryCommand) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { comparePoints, describeComparison }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../points/compare-points.ts'),
      ]);
      const comparison = await comparePoints(await openCommandVault(vault, context), point, other);
      context.screen.lines(...describeComparison(comparison));
      context.screen.document({ ...comparison });
      return ExitCode.done;
    }),
  );
}

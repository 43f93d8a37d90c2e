import type { Command } from 'commander';
import type { Vault } from '#vault/vault.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

interface PointsArguments extends EveryCommand {
  readonly deleted?: boolean;
}

/** `ekko points VAULT` */
export function addPoints(program: Command, run: Runner): void {
  const command = addCommand(
    program,
    'points',
    'VAULT',
    'list the restore points of a vault',
    'ekko points /backups/web',
  )
    .argument('<vault>', 'path or URL of the vault')
    .option('--deleted', 'those that were deleted and can still be brought back');
  withKeyOrCode(command).action((vault: string, { deleted = false, ...options }: PointsArguments) =>
    run(options, async (context) => {
      const { openCommandVault } = await import('../open-command-vault.ts');
      const opened = await openCommandVault(vault, context);
      return deleted ? showDeleted(opened, context) : showPoints(opened, context);
    }),
  );
}

async function showPoints(vault: Vault, { screen }: CommandContext): Promise<ExitCode> {
  const [{ describePoints, listPoints }, { standingHolds }, { describeHolds }, { formatCount }] = await Promise.all([
    import('../points/list-points.ts'),
    import('../holds/standing-holds.ts'),
    import('../holds/hold-words.ts'),
    import('../text/sizes.ts'),
  ]);
  const points = await listPoints(vault);
  const state = vault.journal.state();
  const holds = standingHolds(state);
  const gone = state.expired.size;
  screen.lines(...describePoints(points, new Date()));
  if (gone > 0) screen.lines(`${formatCount(gone, 'deleted restore point')} can be brought back: see --deleted.`);
  if (holds.length > 0) screen.lines('', ...describeHolds(holds));
  screen.document({ points, holds, deleted: gone });
  return points.some(({ problem }) => problem !== undefined) ? ExitCode.damaged : ExitCode.done;
}

async function showDeleted({ journal }: Vault, { screen }: CommandContext): Promise<ExitCode> {
  const { describeDeleted, listDeleted } = await import('../points/list-deleted.ts');
  const deleted = listDeleted(journal.state());
  screen.lines(...describeDeleted(deleted, new Date()));
  screen.document({ deleted });
  return ExitCode.done;
}

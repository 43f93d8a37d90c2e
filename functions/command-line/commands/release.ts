import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko release VAULT HOLD` */
export function addRelease(program: Command, run: Runner): void {
  const summary = 'end a hold on restore points';
  const command = addCommand(program, 'release', 'VAULT HOLD', summary, 'ekko release /backups/web "case 4711"')
    .argument('<vault>', 'path or URL of the vault')
    .argument('<hold>', 'name of the hold: see `ekko points`');
  withKeyOrCode(command).action((vault: string, name: string, options: EveryCommand) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { releaseHold }, { pointWords }, { plainText }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../holds/release-hold.ts'),
        import('../holds/hold-words.ts'),
        import('../text/plain-text.ts'),
      ]);
      const { hold, kind, points, reason } = await releaseHold(
        await openCommandVault(vault, context),
        name,
        new Date(),
      );
      context.screen.lines(`Hold "${plainText(hold)}" on ${pointWords(points, 5)} is released.`);
      context.screen.document({ released: { name: hold, kind, points, reason } });
      return ExitCode.done;
    }),
  );
}

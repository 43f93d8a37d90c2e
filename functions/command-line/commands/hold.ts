import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface HoldArguments extends EveryCommand {
  readonly reason: string;
  readonly name?: string;
}

/** `ekko hold VAULT POINT... --reason TEXT` */
export function addHold(program: Command, run: Runner): void {
  const summary = 'keep restore points, whatever retention says, until the hold is released';
  const example = 'ekko hold /backups/web 20261120-191503 --reason "case 4711"';
  const command = addCommand(program, 'hold', 'VAULT POINT...', summary, example)
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point...>', 'ids of the points, the beginnings of them, or `latest`')
    .requiredOption('--reason <text>', 'why, for whoever wonders later')
    .option('--name <name>', 'what to call the hold (default: made up from the time)');
  withKeyOrCode(command).action(
    (vault: string, points: readonly string[], { reason, name, ...options }: HoldArguments) =>
      run(options, async (context) => {
        const [{ openCommandVault }, { placeHold }, { pointWords }, { plainText }] = await Promise.all([
          import('../open-command-vault.ts'),
          import('../holds/place-hold.ts'),
          import('../holds/hold-words.ts'),
          import('../text/plain-text.ts'),
        ]);
        const opened = await openCommandVault(vault, context);
        const { hold, points: held, at } = await placeHold(opened, { points, reason, name }, new Date());
        context.screen.lines(
          `Hold "${plainText(hold)}" keeps ${pointWords(held, 5)}.`,
          `It ends by \`ekko release ${plainText(vault, 200)} "${plainText(hold)}"\`.`,
        );
        context.screen.document({ hold: { name: hold, points: held, reason, at } });
        return ExitCode.done;
      }),
  );
}

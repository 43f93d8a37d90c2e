import type { Command } from 'commander';
import { addCommand, withEvery } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface ServeArguments extends EveryCommand {
  readonly settings?: string;
}

/** `ekko serve` */
export function addServe(program: Command, run: Runner): void {
  const summary = 'serve the API for backups of a whole cloud';
  const command = addCommand(program, 'serve', '', summary, 'ekko serve --settings /etc/ekko/serve.yaml').option(
    '--settings <file>',
    'the settings file (or EKKO_SETTINGS)',
  );
  withEvery(command).action(({ settings, ...options }: ServeArguments) =>
    run(options, async (context) => {
      const { serve } = await import('../serve/serve.ts');
      const named = settings ?? (process.env['EKKO_SETTINGS'] || undefined);
      await serve({ settings: named, registry: process.env['EKKO_REGISTRY'] || undefined }, context);
      context.screen.document({ served: true });
      return ExitCode.done;
    }),
  );
}

import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import { addCommand, withEvery } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

/** `ekko escrow VAULT` */
export function addEscrow(program: Command, run: Runner): void {
  const summary = 'confirm the escrow code of a vault, read from standard input';
  const command = addCommand(program, 'escrow', 'VAULT', summary, 'ekko escrow /backups/web');
  withEvery(command.argument('<vault>', 'path or URL of the vault')).action((url: string, options: EveryCommand) =>
    run(options, async ({ screen }) => {
      const [{ openStore }, { readDescription }, { askForCode }] = await Promise.all([
        import('#vault/store/open-store.ts'),
        import('#vault/vault.ts'),
        import('../escrow/ask-for-code.ts'),
      ]);
      const store = openStore(url);
      // Before somebody types 65 characters.
      await readDescription(store);
      const confirmed = await askForCode(screen, store);
      if (confirmed === undefined) throw new EkkoError('bad-input', 'No escrow code was given on standard input.');
      const done = confirmed.already ? 'The code opens the vault; it had been confirmed before.' : CONFIRMED;
      screen.lines(done);
      screen.document({ escrow: { state: 'confirmed', ...confirmed } });
      return ExitCode.done;
    }),
  );
}

const CONFIRMED = 'The code opens the vault: confirmed. Backups can begin. Keep the paper where the vault is not.';

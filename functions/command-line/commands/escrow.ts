import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import { addCommand, withKey } from '../command-options.ts';
import type { EscrowOptions } from '../escrow/renew-escrow.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

interface EscrowArguments extends EscrowOptions, EveryCommand {
  readonly new?: boolean;
}

/** `ekko escrow VAULT` */
export function addEscrow(program: Command, run: Runner): void {
  const summary = 'confirm the escrow code of a vault, read from standard input; or make a new one';
  const command = addCommand(program, 'escrow', 'VAULT', summary, 'ekko escrow /backups/web --qr-file page.svg')
    .argument('<vault>', 'path or URL of the vault')
    .option('--new', 'make a new code and show it; this needs a key of the vault')
    .option('--label <text>', 'what to call the new one; anybody who has the store can read that')
    .option('--qr', 'show the code as a QR code too, on the terminal')
    .option(
      '--qr-file <file>',
      'write a page to print, with the code and its QR code: FILE.svg (or .png: QR code alone)',
    );
  withKey(command).action((url: string, options: EscrowArguments) =>
    run(options, async (context) => {
      const { checkQr } = await import('../escrow/renew-escrow.ts');
      checkQr(options, context.screen);
      return options.new ? renew(url, options, context) : confirm(url, options, context);
    }),
  );
}

async function confirm(
  url: string,
  options: EscrowArguments,
  { screen, journalFile }: CommandContext,
): Promise<ExitCode> {
  const [{ openStore }, { readDescription }, { databaseMissing }, { askForCode }, { showCode }] = await Promise.all([
    import('#vault/store/open-store.ts'),
    import('#vault/vault.ts'),
    import('#vault/journal/mirrored-journal.ts'),
    import('../escrow/ask-for-code.ts'),
    import('../escrow/renew-escrow.ts'),
  ]);
  const store = await openStore(url);
  // Before somebody types 65 characters.
  const { description } = await readDescription(store);
  if (description.journal === 'sql' && journalFile === undefined) throw databaseMissing(store);
  const typed = await askForCode(screen, store, journalFile);
  if (typed === undefined) throw new EkkoError('bad-input', 'No escrow code was given on standard input.');
  const { confirmed, code } = typed;
  screen.lines(confirmed.already ? 'The code opens the vault; an escrow code had been confirmed before.' : CONFIRMED);
  const { recipient } = confirmed;
  await showCode(screen, options, { code, vault: description.vault, url: store.url, recipient, now: new Date() });
  screen.document({ escrow: { state: 'confirmed', ...confirmed } });
  return ExitCode.done;
}

async function renew(url: string, options: EscrowArguments, context: CommandContext): Promise<ExitCode> {
  const { renewEscrow } = await import('../escrow/renew-escrow.ts');
  context.screen.document({ escrow: await renewEscrow(url, options, context) });
  return ExitCode.done;
}

const CONFIRMED = 'The code opens the vault: confirmed. Backups can begin. Keep the paper where the vault is not.';

import type { Command } from 'commander';
import { addCommand, withKey, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface ShowArguments extends EveryCommand {
  readonly from?: string;
  readonly to?: string;
}

/** `ekko journal show VAULT`, `ekko journal adopt VAULT` */
export function addJournal(program: Command, run: Runner): void {
  const journal = program
    .command('journal')
    .summary('show the journal of a vault, or give it another database')
    .usage('show|adopt VAULT [OPTIONS]')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false);
  addShow(journal, run);
  addAdopt(journal, run);
}

/** Of what a person can mean. */
const HIGHEST = 999_999_999;

function addShow(journal: Command, run: Runner): void {
  const summary = 'list entries of the journal, by default the last 20';
  const command = addCommand(journal, 'show', 'VAULT', summary, 'ekko journal show /backups/web --from 1')
    .argument('<vault>', 'path or URL of the vault')
    .option('--from <entry>', 'number of the first entry')
    .option('--to <entry>', 'number of the last entry');
  withKeyOrCode(command).action((vault: string, { from, to, ...options }: ShowArguments) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { describeEntries, showEntries }, { readInteger }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../journal/show-entries.ts'),
        import('../arguments/read-value.ts'),
      ]);
      const position = (text: string | undefined, option: string) =>
        text === undefined ? undefined : readInteger(text, option, 1, HIGHEST);
      const range = { from: position(from, '--from'), to: position(to, '--to') };
      const opened = await openCommandVault(vault, context);
      const entries = await showEntries(opened, range);
      const head = opened.journal.state().position;
      context.screen.lines(...describeEntries(entries, head));
      context.screen.document({ head, entries });
      return ExitCode.done;
    }),
  );
}

function addAdopt(journal: Command, run: Runner): void {
  const summary = 'fill a new database with the journal of a vault, from the copy in the vault';
  const example = 'ekko journal adopt swift://backups/web --journal-file /etc/ekko/journal';
  const command = addCommand(journal, 'adopt', 'VAULT', summary, example);
  withKey(command.argument('<vault>', 'path or URL of the vault')).action((vault: string, options: EveryCommand) =>
    run(options, async (context) => {
      const { adopt, describeAdopt } = await import('../journal/adopt.ts');
      const report = await adopt(vault, context);
      context.screen.lines(...describeAdopt(report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

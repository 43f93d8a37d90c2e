import type { Command } from 'commander';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

export interface InitOptions extends EveryCommand {
  readonly recipient?: readonly string[];
  /** False with `--no-escrow`. */
  readonly escrow: boolean;
}

/** `ekko init VAULT` */
export function addInit(program: Command, run: Runner): void {
  const command = addCommand(program, 'init', 'VAULT', 'make a vault', 'ekko init /backups/web --key-file ~/ekko.key')
    .argument('<vault>', 'path or URL of a place that holds no vault yet')
    .option('--recipient <text...>', 'another key that shall open it: ekko-recipient-1:…, as its key file says')
    .option('--no-escrow', 'make no escrow code: if the key file is lost, all backups are');
  withKey(command).action((vault: string, options: InitOptions) =>
    run(options, (context) => init(vault, options, context)),
  );
}

async function init(url: string, options: InitOptions, { screen, keyFile }: CommandContext): Promise<ExitCode> {
  const [{ openStore }, { makeVault, planVault, recipientText }, { describeKeys, describeVault }] = await Promise.all([
    import('#vault/store/open-store.ts'),
    import('../init/new-vault.ts'),
    import('../init/init-words.ts'),
  ]);
  const store = openStore(url);
  const plan = await planVault(store, { keyFile, recipients: options.recipient ?? [], noEscrow: !options.escrow });
  screen.lines(...describeKeys(plan));
  const { id, journal } = await makeVault(store, plan);
  screen.lines(...describeVault(plan, store.url));
  if (plan.escrow !== undefined && !screen.json) await confirmNow(url, store, screen);
  screen.document({
    vault: { id, url: store.url },
    keyFile: { path: plan.keyFile.path, isNew: plan.keyFile.isNew, recipient: recipientText(plan) },
    escrow: {
      state: journal.state().escrow,
      recipient: plan.escrow?.fingerprint ?? plan.second,
      code: plan.escrow?.code,
    },
  });
  return ExitCode.done;
}

async function confirmNow(
  url: string,
  store: ReturnType<typeof import('#vault/store/open-store.ts').openStore>,
  screen: CommandContext['screen'],
): Promise<void> {
  const later = `Type it back with \`ekko escrow ${url}\`: before that the vault takes no backup.`;
  if (!screen.canAsk) return screen.lines('', `The escrow code is not confirmed yet. ${later}`);
  screen.lines('', 'Type the code back, from the paper (or press Enter to do it later):');
  const { askForCode } = await import('../escrow/ask-for-code.ts');
  const confirmed = await askForCode(screen, store).catch((error: unknown) => {
    screen.remark(error instanceof Error ? error.message : String(error));
    return undefined;
  });
  screen.lines(confirmed === undefined ? `Not confirmed yet. ${later}` : 'Confirmed: backups can begin.');
}
